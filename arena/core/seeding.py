"""Derive the seed of every random stream from the run's seed, a purpose, a round and a player."""

import hashlib


def derive_seed(seed: int, purpose: str, round_index: int = 0, player: str = "") -> int:
    """Derive the seed of one named stream (after DomainBed's ``seed_hash``, Gulrajani & Lopez-Paz 2021).

    Args:
        seed: the run's seed (or the data seed, for the split).
        purpose: what is drawn, such as ``"forge"`` or ``"judge"``.
        round_index: the round of the race; it may also count the steps of a phase.
        player: the player that draws, such as ``"cnn"`` or ``"cnn/fold=1"``.

    Returns:
        An integer in [0, 2**63), the range every generator of torch and numpy takes.
    """
    name = f"{seed}|{purpose}|{round_index}|{player}".encode()
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big") >> 1
