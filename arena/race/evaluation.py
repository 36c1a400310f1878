"""Test detectors in the loop, and record the scores of any test."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch

from arena.config.schema import BAG, STACK
from arena.data.reals import Reals
from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, score_all
from arena.detectors.stack import Stack
from arena.metrics.auc import summarise
from arena.race.checkpoints import load_bank
from arena.race.judging import Judgement, scores_of, stacked
from arena.race.race import Race
from arena.records.schema import FitnessRecord, Regime, ScoreRecord, Scores
from arena.records.store import write_scores


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The judge reals and a round's test fakes in one gallery, on which detectors in the loop are tested.

    Tests on the diagonal of the payoff matrix use all images. An off-diagonal ``cell`` has a fixed number of each
    class, so that every round costs the same.
    """

    reals: Reals
    generator_round: int
    gallery: Gallery

    @classmethod
    def of(cls, race: Race, generator_round: int, cell: bool) -> "Evaluation":
        """Return the whole test of a round's fakes, or its cell."""
        reals, fakes = race.judge_reals, load_bank(race, generator_round).test
        if cell:
            rng = np.random.default_rng(race.seed_of("cell"))
            reals = reals[np.sort(rng.permutation(len(reals))[: race.bank.cell])]
            fakes = fakes[: race.bank.cell]
        return cls(
            reals, generator_round, Gallery(torch.cat([reals.images, fakes]), race.evidence, race.machine.device)
        )

    def records(
        self, race: Race, detectors: Mapping[str, Detector], stack: Stack | None, detector_round: int
    ) -> list[ScoreRecord]:
        """Test the whole battery, write its scores, and return one record per technique.

        Args:
            race: to which the scores belong.
            detectors: every member.
            stack: over them.
            detector_round: in which they were last retrained.
        """
        fakes = np.arange(len(self.gallery) - len(self.reals))
        scores = {
            name: scores_of(logits, self.reals, fakes) for name, logits in score_all(detectors, self.gallery).items()
        }
        if stack is not None:
            scores[STACK] = stacked(stack, list(scores.values()))
            if race.bag is not None:
                scores[BAG] = race.bag(scores[STACK])
        regime: Regime = "frozen" if detector_round < self.generator_round else "retrained"
        return [
            score_record(race, kept, technique, regime, self.generator_round, detector_round)
            for technique, kept in scores.items()
        ]


def score_record(
    race: Race,
    scores: Scores,
    technique: str,
    regime: Regime,
    generator_round: int,
    detector_round: int,
    judge_seed: int | None = None,
    validation_auc: float | None = None,
) -> ScoreRecord:
    """Write the scores of one test and return its record."""
    judge = "" if judge_seed is None else f"_j{judge_seed}"
    name = f"{technique}_{regime}_g{generator_round:02d}_d{detector_round:02d}{judge}"
    return ScoreRecord(
        round=max(generator_round, detector_round),
        seed=race.seed,
        technique=technique,
        detector=f"{technique}@{detector_round}{judge}",
        regime=regime,
        access=race.access_to(technique),
        judge_seed=judge_seed,
        generator_round=generator_round,
        detector_round=detector_round,
        validation_auc=validation_auc,
        scores=write_scores(race.run, name, scores),
        **asdict(summarise(scores, race.margin)),
    )


def fitness_record(
    race: Race,
    judgement: Judgement,
    technique: str,
    *,
    round_index: int,
    judge_seed: int = 0,
    artefact: str | None = None,
    share: float = 1.0,
) -> FitnessRecord:
    """Write the scores of a judge that was tested itself, and return its record.

    Args:
        race: to which the scores belong.
        judgement: of the judge.
        technique: of the judge.
        round_index: of the judgement.
        judge_seed: number of the judge.
        artefact: planted in the fakes; None for fakes of the generator.
        share: share of data and images that the judge used.
    """
    name = f"half_g{round_index:02d}" if artefact is None else f"planted_{artefact}"
    return FitnessRecord(
        round=round_index,
        seed=race.seed,
        technique=technique,
        artefact=artefact,
        amplitude=None if artefact is None else race.data.planted_amplitude,
        share=share,
        judge_seed=judge_seed,
        scores=write_scores(race.run, f"{technique}_{name}_j{judge_seed}", judgement.test),
        **summarise(judgement.test, race.margin).as_fields(),
    )
