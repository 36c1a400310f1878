"""Step 3, retrain: each detector on reals and fakes, from where it stood, old fakes replayed. Regime "retrained"."""

from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from arena.arena import Arena
from arena.config import STACK
from arena.data.reals import Reals
from arena.detectors.detector import Examples
from arena.detectors.scoring import score
from arena.phases.confront import examine_saved, load_detector
from arena.phases.phase import Finding
from arena.phases.testing import score_record
from arena.progress import Progress
from arena.records import RecordBook, write_atomically
from arena.seeding import derive_seed
from arena.training.detecting import train_detector

VALIDATION_SHARE = 0.25


def retrain(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Train a technique's detector into its next self; test it on this round's fakes and, in cells, on older ones."""
    images = _fit_stack(arena, round) if player == STACK else _retrain(arena, progress, round, player)
    records = []
    for generator_round in range(round, -1, -1):
        scores = examine_saved(arena, book, player, generator_round, round, cell=generator_round < round)
        records.append(
            score_record(
                arena,
                scores,
                round=round,
                technique=player,
                regime="retrained",
                generator_round=generator_round,
                detector_round=round,
            )
        )
    return Finding(list(records), images)


@dataclass(frozen=True)
class LoopReals:
    """The reals the detectors in the loop learn from and stop on, as access decides: detector- or generator-train."""

    train: Tensor
    validation: Tensor

    @classmethod
    def of(cls, arena: Arena) -> "LoopReals":
        """Split that part once, for all rounds. The placebo gets as many as the true condition has.

        ``data.seed`` splits: what stops the detectors of a branch (``race.from``) must have trained none in its origin.
        """
        part: Reals = arena.data.part(arena.access.reals)
        rng = np.random.default_rng(derive_seed(arena.data.seed, "detector-validation"))
        mine = part[rng.permutation(len(part))[: len(arena.data.split.detector)]]
        validation, train = mine.parted(int(len(mine) * VALIDATION_SHARE), rng)
        return cls(train.images, validation.images)


def _retrain(arena: Arena, progress: Progress, round: int, technique: str) -> int:
    """Train one detector in the loop and save it."""
    reals, bank = LoopReals.of(arena), arena.forged(round)
    seed = arena.seed_of("retrain", round, technique)
    detector = load_detector(arena, technique, round - 1) if round else arena.new_detector(technique, seed)
    origin = arena.start.detector(technique, arena.access.reals) if arena.start and not round else None
    if origin is not None:
        detector.load_state_dict(load_file(origin))
    train = Examples.of(reals.train, with_replay(arena, bank.train, round))
    progress.expect(arena.battery.images)
    images = train_detector(
        detector,
        train,
        Examples.of(reals.validation, bank.validation),
        evidence=arena.evidence,
        settings=arena.battery,
        images=arena.battery.images,
        fresh=round == 0 and origin is None,
        seed=seed,
        machine=arena.machine,
        progress=progress,
        logger=arena.tracker.logger(f"round_{round:02d}/retrain/{technique}"),
    )
    save_tensors(detector, arena, round, technique)
    return images


def with_replay(arena: Arena, fakes: Tensor, round: int) -> Tensor:
    """This round's training fakes, with a share of them exchanged for fakes of earlier rounds, evenly over those."""
    replayed = int(len(fakes) * arena.battery.replay) if round else 0
    if not replayed:
        return fakes
    rng = np.random.default_rng(arena.seed_of("replay", round))
    which = np.sort(rng.integers(round, size=replayed))
    old = []
    for past in np.unique(which).tolist():
        bank = arena.forged(past).train
        chosen = rng.permutation(len(bank))[: int((which == past).sum())]
        old.append(bank[torch.from_numpy(chosen)])
    return torch.cat([fakes[: len(fakes) - replayed], *old])


def _fit_stack(arena: Arena, round: int) -> int:
    """Fit the stack of the loop on validation images, which trained none of its members, and save it."""
    assert arena.stack is not None
    reals, bank = LoopReals.of(arena), arena.forged(round)
    examples = Examples.of(reals.validation, bank.validation)
    logits = [score(load_detector(arena, m, round), examples.images, arena.evidence) for m in arena.members]
    stack = arena.stack(members=len(arena.members))
    stack.fit(torch.stack(logits, dim=1), examples.labels)
    save_tensors(stack, arena, round, STACK)
    return len(examples.labels)


def save_tensors(module: nn.Module, arena: Arena, round: int, name: str) -> None:
    """A detector's tensors as safetensors, whole or not at all."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in module.state_dict().items()}
    write_atomically(arena.folder(round) / "detectors" / f"{name}.safetensors", save(tensors))
