"""Trials of the calibration study: the arms, the order of their trials, and the outcome of one."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.stats import t

from arena.metrics.auc import FOLD_DEPENDENCE

CHANCE = 0.5
POWER = "judge reals"
"""Suffix of the arms that measure the power of the oracle. They have too few trials for a distribution of z."""
STRONG = "checkerboard"
"""The planted artefact that every trial must catch. Fainter artefacts measure the sensitivity instead."""


@dataclass(frozen=True)
class Arm:
    """Trials that differ only in their seeds. The seeds also split the reals and, for portraits, draw the faces.

    Args:
        name: of the arm. Arms of one name share data, battery and budgets.
        overrides: settings of the arm on top of its experiment.
        trials: number of trials.
        control: generator whose images are judged: oracle, copycat or planted.
        artefact: planted artefact, "" for none.
        amplitude: of the artefact, in grey levels of the data.
        experiment: whose budgets the arm has: ``calibration``, or ``default`` for those of a race.
    """

    name: str
    overrides: tuple[str, ...]
    trials: int
    control: str = "oracle"
    artefact: str = ""
    amplitude: int = 0
    experiment: str = "calibration"

    def of_trial(self, trial: int) -> list[str]:
        """Return the overrides of one trial."""
        seeds = [f"seed={trial}", f"data.seed={trial}"]
        seeds += [f"data.render_seed={trial}"] if "data=portraits" in self.overrides else []
        planted = [f"generator.kind={self.artefact}", f"generator.amplitude={self.amplitude}"] if self.artefact else []
        judged = [f"generator={self.control}", "access=none", "race.rounds=0"]
        return [f"experiment={self.experiment}", *self.overrides, *seeds, *judged, *planted]

    def key_of(self, trial: int) -> tuple[str, str, str, int, int]:
        """Return the key of one trial, as its outcomes have it."""
        return self.name, self.control, self.artefact, self.amplitude, trial


DIGITS = ("data=digits",)
PORTRAITS = ("data=portraits", "data.n=3000", "judge.reals=120")
MANY = ("data=portraits", "data.n=10000")
JUDGE_REALS = (100, 200, 400, 800, 1600, 3000)
NULLS, OF_NETWORKS, CONTROLS, POWERS = 100, 20, 6, 6
"""Trials per arm: cheap techniques on reals alone, networks on reals alone, other controls, power. An arm of portraits
at the defaults has as few as one of networks, since one of its trials takes as long as six of digits."""
LEVELS = 4
"""Grey levels of the strong artefact on digits, which have 17. Portraits have 256 and get twice as many."""

DEFAULTS = "at the defaults"
"""Suffix of the arms with the battery, the banks and the budgets of a default race. They measure its power."""

AT_DEFAULTS: tuple[Arm, ...] = (
    Arm(f"digits {DEFAULTS}", DIGITS, NULLS, experiment="default"),
    Arm(f"portraits {DEFAULTS}", ("data=portraits",), OF_NETWORKS, experiment="default"),
)
"""Arms that are run only where they are named, since a trial of theirs takes minutes."""
ARMS: tuple[Arm, ...] = (
    Arm("digits", DIGITS, NULLS),
    Arm("portraits", PORTRAITS, NULLS),
    Arm("digits, cnn", (*DIGITS, "battery=small"), OF_NETWORKS),
    Arm("digits", DIGITS, CONTROLS, "copycat"),
    Arm("portraits", PORTRAITS, CONTROLS, "copycat"),
    Arm("digits", DIGITS, CONTROLS, "planted", STRONG, LEVELS),
    Arm("portraits", PORTRAITS, CONTROLS, "planted", STRONG, 2 * LEVELS),
    *(Arm("digits", DIGITS, CONTROLS, "planted", "upsampling_trace", k) for k in (1, 2, 4)),
    *(Arm("portraits", PORTRAITS, CONTROLS, "planted", "upsampling_trace", k) for k in (1, 2, 4, 8, 16)),
    *(Arm(f"{reals} {POWER}", (*MANY, f"judge.reals={reals}"), POWERS) for reals in JUDGE_REALS),
)


def in_order(arms: tuple[Arm, ...]) -> list[tuple[Arm, int]]:
    """Order the trials so that a study that stops early has done an equal share of every arm."""
    trials = [(arm, trial) for arm in arms for trial in range(arm.trials)]
    return sorted(trials, key=lambda pair: (pair[1] + 0.5) / pair[0].trials)


class Outcome(NamedTuple):
    """Estimate and finding of one technique in one trial, and the answer of that trial: a line of the study's file.

    Args:
        arm: of the study.
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
        df: degrees of freedom of Student's t that give the 95% interval.
        finding: passes, caught, undecided or unfit.
        needed: test images per class that would decide an undecided finding. 0 where images are not what is missing.
        answer: of the trial.
        judges: fresh judges of the verdict.
        gain: AUC of its judges less that of judges with half of their data. NaN without such judges.
        gain_error: reach of the gain's one-sided bound, over that of a normal law with standard error 1.
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
    judges: int
    gain: float
    gain_error: float

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
