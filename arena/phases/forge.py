"""Step 1, forge: the banks of fakes of this round's generator."""

from io import BytesIO

import numpy as np
from safetensors.torch import load_file

from arena.arena import Arena
from arena.bank import Bank
from arena.generators.generator import Generator, TrainableGenerator
from arena.generators.style import StyleGenerator
from arena.mix.grid import MixingGrid
from arena.phases.phase import Finding
from arena.progress import Progress
from arena.records import RecordBook, write_atomically
from arena.seeding import derive_seed

SHOWN = 64
JUDGED = 64


def forge(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Sample train, validation and test banks from G_round (its EMA weights), each by a stream of its own.

    The streams do not depend on the round: image i of every round's test bank comes from the same z, so that the rounds
    can be compared column by column. The judges of a round see that round's banks alone. Beside the banks of a style
    generator lies a grid of mixed styles, to look at; beside the last round's, some of what its judges will test.
    """
    generator = load_generator(arena, round)
    forged = generator.forge(arena.bank.counts, arena.seed_of("forge"), arena.generator_reals)
    bank = Bank.of(forged, arena.data.levels)
    bank.save(arena.bank_path(round))
    if isinstance(generator, StyleGenerator):
        grid = MixingGrid.of(generator, arena.seed_of("mixing"), arena.data.levels)
        grid.save(arena.run / "banks" / f"mixing_{round:02d}.npz")
    if round == 0:
        buffer = BytesIO()
        np.savez(buffer, sample=arena.data.part("reference").images[:SHOWN].numpy())
        write_atomically(arena.run / "banks" / "reals.npz", buffer.getvalue())
    if round == arena.rounds:
        keep_judged(arena, bank)
    return Finding([], sum(map(len, bank)))


def keep_judged(arena: Arena, bank: Bank) -> None:
    """Keep, for people to judge, images of both classes that the last round's judges test, as the judges see them.

    ``banks/judged.npz`` holds uint8 ``reals`` and ``fakes``, which came down the evidence path (rule of evidence 1),
    and ``real_ids`` and ``fake_ids``, by which their scores are found. The reals are drawn by the data seed alone.
    """
    reals = arena.judge_reals
    seeds = derive_seed(arena.data.seed, "judged"), arena.seed_of("judged")
    drawn, forged = (
        np.random.default_rng(seed).permutation(n)[:JUDGED]
        for seed, n in zip(seeds, (len(reals), len(bank.test)), strict=True)
    )
    kept = reals[drawn]
    buffer = BytesIO()
    np.savez(
        buffer,
        reals=arena.evidence.seen(kept.images).numpy(),
        real_ids=kept.ids,
        fakes=arena.evidence.seen(bank.test[forged]).numpy(),
        fake_ids=forged,
    )
    write_atomically(arena.run / "banks" / "judged.npz", buffer.getvalue())


def load_generator(arena: Arena, round: int) -> Generator:
    """G_round on the race's device: its averaged weights, or a control as it is."""
    generator = arena.new_generator()
    if isinstance(generator, TrainableGenerator):
        generator.load_state_dict(load_file(arena.folder(round) / "gan" / "generator.safetensors"))
    return generator.to(arena.machine.device).eval()
