"""Plan the calibration study: its arms, and the order of their trials."""

from dataclasses import dataclass

POWER = "judge reals"
"""Suffix of the arms that measure the power of the oracle. They have too few trials for a distribution of z."""
STRONG = "checkerboard"
"""The planted artefact that every trial must catch. Fainter artefacts measure the sensitivity instead."""


@dataclass(frozen=True)
class Arm:
    """Trials that differ only in their seeds. The seeds also split the reals and, for portraits, draw the faces.

    Args:
        name: of the arm. Arms of one name share data, battery and budgets.
        overrides: settings of the arm on top of ``experiment=calibration``.
        trials: number of trials.
        control: generator whose images are judged: oracle, copycat or planted.
        artefact: planted artefact, or None.
        amplitude: of the artefact, in grey levels of the data.
    """

    name: str
    overrides: tuple[str, ...]
    trials: int
    control: str = "oracle"
    artefact: str | None = None
    amplitude: int = 0

    def of_trial(self, trial: int) -> list[str]:
        """Return the overrides of one trial."""
        seeds = [f"seed={trial}", f"data.seed={trial}"]
        seeds += [f"data.render_seed={trial}"] if "data=portraits" in self.overrides else []
        planted = [f"generator.kind={self.artefact}", f"generator.amplitude={self.amplitude}"] if self.artefact else []
        return ["experiment=calibration", *self.overrides, *seeds, f"generator={self.control}", *planted]


DIGITS = ("data=digits",)
PORTRAITS = ("data=portraits", "data.n=3000", "judge.reals=120")
MANY = ("data=portraits", "data.n=10000")
JUDGE_REALS = (100, 200, 400, 800, 1600, 3000)
NULLS, OF_NETWORKS, CONTROLS, POWERS = 100, 20, 6, 6
"""Trials per arm: cheap techniques on reals alone, networks on reals alone, other controls, power."""
LEVELS = 4
"""Grey levels of the strong artefact on digits, which have 17. Portraits have 256 and get twice as many."""

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
