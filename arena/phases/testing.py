"""A test: one technique's scores on judge reals and on a round's test fakes, and the record of it."""

from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.arena import Arena
from arena.data.reals import Reals
from arena.detectors.detector import Detector, Examples
from arena.detectors.scoring import score
from arena.metrics.roc import summarise
from arena.records import Regime, ScoreRecord, Scores, write_scores


def examine(arena: Arena, detector: Detector, generator_round: int, cell: bool) -> Scores:
    """Scores of one detector in one test, reals first.

    A test on the diagonal of the payoff matrix is on every judge real and the whole test bank; an off-diagonal ``cell``
    is on a fixed number of each, so that a round costs the same however many came before.
    """
    reals, fakes = arena.judge_reals, arena.forged(generator_round).test
    if cell:
        rng = np.random.default_rng(arena.seed_of("cell"))
        reals = reals[np.sort(rng.permutation(len(reals))[: arena.bank.cell])]
        fakes = fakes[: arena.bank.cell]
    return scored(arena, detector, reals, fakes, np.arange(len(fakes)))


def scored(
    arena: Arena, detector: Detector, reals: Reals, bank: Tensor, which: NDArray[np.int64], fold: int = 0
) -> Scores:
    """A detector's scores of reals and of ``which`` fakes of a bank, marked with the fold whose judge it is."""
    examples = Examples.of(reals.images, bank[torch.from_numpy(which)])
    logits = score(detector.to(arena.machine.device), examples.images, arena.evidence).numpy()
    label = examples.labels.numpy().astype(np.uint8)
    ids = np.concatenate([reals.ids, which])
    source = ids if reals.persons is None else np.concatenate([reals.persons, which])
    return Scores(logits, label, ids, np.full(len(ids), fold, dtype=np.uint8), source)


def score_record(
    arena: Arena,
    scores: Scores,
    *,
    round: int,
    technique: str,
    regime: Regime,
    generator_round: int,
    detector_round: int,
    judge_seed: int | None = None,
    validation_auc: float | None = None,
) -> ScoreRecord:
    """Write the scores down and make the record of their test."""
    cell = f"g{generator_round:02d}_d{detector_round:02d}"
    judge = "" if judge_seed is None else f"_j{judge_seed}"
    name = f"{technique}_{regime}_{cell}{judge}"
    return ScoreRecord(
        round=round,
        seed=arena.seed,
        technique=technique,
        detector=f"{technique}@{detector_round}{judge}",
        regime=regime,
        told=arena.told(technique),
        judge_seed=judge_seed,
        generator_round=generator_round,
        detector_round=detector_round,
        validation_auc=validation_auc,
        scores=write_scores(arena.run, name, scores),
        **asdict(summarise(scores, arena.margin)),
    )
