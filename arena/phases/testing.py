"""A test: scores on judge reals and on a round's test fakes, and the record of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from safetensors.torch import load_file

from arena.arena import Arena
from arena.config import BAG, STACK
from arena.data.reals import Reals
from arena.detectors.detector import Detector
from arena.detectors.gallery import Gallery
from arena.detectors.scoring import score_all
from arena.detectors.stack import Stack
from arena.metrics.roc import summarise
from arena.phases.case import scores_of
from arena.records import Regime, ScoreRecord, Scores, write_scores


@dataclass(frozen=True, eq=False)
class Test:
    """All judge reals and a round's test fakes in one gallery, before any number of detectors.

    A test on the diagonal of the payoff matrix is on all of them; an off-diagonal ``cell`` is on a fixed number of
    each, so that a round costs the same however many came before.
    """

    reals: Reals
    fakes: int
    gallery: Gallery

    @classmethod
    def of(cls, arena: Arena, generator_round: int, cell: bool) -> "Test":
        """The whole test of a round's fakes, or its cell."""
        reals, fakes = arena.judge_reals, arena.forged(generator_round).test
        if cell:
            rng = np.random.default_rng(arena.seed_of("cell"))
            reals = reals[np.sort(rng.permutation(len(reals))[: arena.bank.cell])]
            fakes = fakes[: arena.bank.cell]
        gallery = Gallery(torch.cat([reals.images, fakes]), arena.evidence, arena.machine.device)
        return cls(reals, len(fakes), gallery)

    def of_battery(self, arena: Arena, detectors: Mapping[str, Detector], stack: Stack | None) -> dict[str, Scores]:
        """Every technique's scores, reals first, and the stack's."""
        found = {
            name: scores_of(logits, self.reals, np.arange(self.fakes))
            for name, logits in score_all(detectors, self.gallery).items()
        }
        if stack is not None:
            found[STACK] = stacked(stack, list(found.values()))
            if arena.bag is not None:
                found[BAG] = arena.bag(found[STACK])
        return found


def load_battery(arena: Arena, round: int) -> tuple[dict[str, Detector], Stack | None]:
    """The detectors in the loop as ``retrain`` left them in that round, and the stack over them."""
    detectors = {technique: load_detector(arena, technique, round) for technique in arena.members}
    if arena.stack is None:
        return detectors, None
    stack = arena.stack(members=len(arena.members))
    stack.load_state_dict(load_file(arena.folder(round) / "detectors" / f"{STACK}.safetensors"))
    return detectors, stack


def load_detector(arena: Arena, technique: str, round: int) -> Detector:
    """The detector of that technique as ``retrain`` left it in that round."""
    detector = arena.new_detector(technique, 0)
    detector.load_state_dict(load_file(arena.folder(round) / "detectors" / f"{technique}.safetensors"))
    return detector.to(arena.machine.device)


def stacked(stack: Stack, members: Sequence[Scores]) -> Scores:
    """The stack's scores of images that each member has scored, in the same order."""
    logits = torch.from_numpy(np.stack([scores.score for scores in members], axis=1))
    return members[0]._replace(score=stack(logits).numpy())


def score_records(
    arena: Arena, found: Mapping[str, Scores], round: int, regime: Regime, generator_round: int, detector_round: int
) -> list[ScoreRecord]:
    """The records of one test of the whole battery."""
    return [
        score_record(
            arena,
            scores,
            round=round,
            technique=technique,
            regime=regime,
            generator_round=generator_round,
            detector_round=detector_round,
        )
        for technique, scores in found.items()
    ]


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
