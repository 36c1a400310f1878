"""A test: one technique's scores on judge reals and on a round's test fakes, and the record of it."""

from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.arena import Arena
from arena.detectors.detector import Detector
from arena.detectors.scoring import score
from arena.metrics.roc import summarise
from arena.records import Regime, ScoreRecord, Scores, write_scores


def tested_images(
    arena: Arena, generator_round: int, cell: bool
) -> tuple[Tensor, NDArray[np.uint8], NDArray[np.int64]]:
    """The images of a test: uint8 (N, C, H, W), labels and ids (N,), reals first.

    A test on the diagonal of the payoff matrix is on every judge real and the whole test bank; an off-diagonal ``cell``
    is on a fixed number of each, so that a round costs the same however many came before.
    """
    reals, fakes = arena.judge_reals, arena.forged(generator_round).test
    chosen = np.arange(len(reals))
    if cell:
        rng = np.random.default_rng(arena.seed_of("cell"))
        chosen = np.sort(rng.permutation(len(reals))[: arena.bank.cell])
        fakes = fakes[: arena.bank.cell]
    images = torch.cat([reals.images[torch.from_numpy(chosen)], fakes])
    labels = np.repeat(np.array([0, 1], dtype=np.uint8), (len(chosen), len(fakes)))
    return images, labels, np.concatenate([reals.ids[chosen], np.arange(len(fakes))])


def examine(arena: Arena, detector: Detector, generator_round: int, cell: bool) -> Scores:
    """Scores of one detector in one test."""
    images, labels, ids = tested_images(arena, generator_round, cell)
    logits = score(detector.to(arena.machine.device), images, arena.evidence).numpy()
    return Scores(logits, labels, ids, np.zeros(len(labels), dtype=np.uint8))


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
