"""The plan of the study: its arms, and the order of their trials."""

from dataclasses import dataclass

from arena.studies.calibration.summary import POWER, STRONG

EXPERIMENT = "experiment=calibration"


@dataclass(frozen=True)
class Arm:
    """Trials that differ in nothing but their seeds, which also split the reals and, of portraits, draw the faces.

    Args:
        name: of the arm; arms of one name share data, battery and budgets.
        overrides: what sets it apart from ``experiment=calibration``.
        trials: how many.
        control: whose images are judged.
        artefact: to plant; None for none.
        amplitude: of the artefact, in grey levels of the data.
    """

    name: str
    overrides: tuple[str, ...]
    trials: int
    control: str = "oracle"
    artefact: str | None = None
    amplitude: int = 0

    def of_trial(self, trial: int) -> list[str]:
        """The overrides of one trial."""
        seeds = [f"seed={trial}", f"data.seed={trial}"]
        seeds += [f"data.render_seed={trial}"] if "data=portraits" in self.overrides else []
        planted = [f"generator.kind={self.artefact}", f"generator.amplitude={self.amplitude}"] if self.artefact else []
        return [EXPERIMENT, *self.overrides, *seeds, f"generator={self.control}", *planted]


DIGITS = ("data=digits",)
PORTRAITS = ("data=portraits", "data.n=3000", "judge.reals=120")
MANY = ("data=portraits", "data.n=10000")
JUDGE_REALS = (100, 200, 400, 800, 1600, 3000)
NULLS, OF_NETWORKS, CONTROLS, POWERS = 100, 20, 6, 6
"""Trials of an arm: of cheap techniques on reals alone, of networks, of the other controls, of the power."""
LEVELS = 4
"""Grey levels of the artefact that every trial must catch: on digits of 17; on portraits twice as many, of 256."""

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
    """Every trial, such that a study that stops early has done an equal share of every arm."""
    trials = [(arm, trial) for arm in arms for trial in range(arm.trials)]
    return sorted(trials, key=lambda pair: (pair[1] + 0.5) / pair[0].trials)
