"""Outcome of one technique in one trial: a line of the study's file."""

from typing import NamedTuple

import numpy as np
from scipy.stats import t

from arena.metrics.auc import FOLD_DEPENDENCE

CHANCE = 0.5


class Outcome(NamedTuple):
    """Estimate and finding of one technique in one trial, and the answer of that trial.

    Args:
        arm: of the study. All its trials share data and battery.
        control: oracle, copycat or planted.
        artefact: planted artefact, "" for none.
        amplitude: of the artefact, in grey levels of the data. 0 for none.
        trial: its number, which is every seed of the trial.
        technique: its name.
        n_real: number of reals tested.
        n_fake: number of fakes tested.
        auc: mean of the fresh judges.
        of_images: variance that falls with the number of images.
        of_reals: the part of ``of_images`` due to reals, counted ``FOLD_DEPENDENCE`` times as DeLong gives it.
        of_judges: variance that falls with the number of judges.
        df: degrees of freedom of the two variances together.
        finding: passes, caught, undecided or unfit.
        needed: test images per class that would decide an undecided finding. 0 where images are not what is missing.
        answer: of the trial.
    """

    arm: str
    control: str
    artefact: str
    amplitude: int
    trial: int
    technique: str
    n_real: int
    n_fake: int
    auc: float
    of_images: float
    of_reals: float
    of_judges: float
    df: float
    finding: str
    needed: int
    answer: str

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        """The trial of the study: arm, control, artefact, amplitude and number."""
        return self.arm, self.control, self.artefact, self.amplitude, self.trial

    def error(self, fold_dependence: float = FOLD_DEPENDENCE) -> float:
        """Standard error of the AUC. By default that of the verdict; with 1 that of independent folds."""
        of_reals = self.of_reals * (1 - fold_dependence / FOLD_DEPENDENCE)
        return float(np.sqrt(self.of_images - of_reals + self.of_judges))

    def z(self, fold_dependence: float = FOLD_DEPENDENCE) -> float:
        """Distance of the AUC from 1/2 in standard errors."""
        return (self.auc - CHANCE) / self.error(fold_dependence)

    def holds_chance(self, confidence: float, fold_dependence: float = FOLD_DEPENDENCE) -> bool:
        """Return whether the two-sided interval contains 1/2."""
        return abs(self.z(fold_dependence)) <= float(t.isf((1 - confidence) / 2, self.df))
