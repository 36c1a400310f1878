"""Whether intervals hold the truth as often as they say, on simulated scores of known AUC.

Found in 1,200 studies of a case each: the interval covers 93 to 95% up to an AUC of 0.95, and ever more beyond, where
the floor for wrong images yet unseen widens it. Its ends are not equally right: estimates far above the truth have a
smaller error than those far below, so that the lower bound at 95% covers 91 to 94% and the upper one 96 to 97%.
"""

from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import binom, norm

from arena.answer.estimate import Estimate, estimate
from arena.metrics.auc import influence
from tests.metrics.scores import scores_of

AUCS = (0.5, 0.6, 0.8, 0.95, 0.99, 0.999)
MODERATE = AUCS[:3]
REPEATS = 150
RARE = 1e-3
"""Of a test here to fail by chance."""
SKEWED = 0.03
"""By which a one-sided bound may miss its 95% where the estimate is skewed; of the two-sided interval half as much."""


class Design(NamedTuple):
    """Runs that share the test reals, each with fakes and judges of its own.

    A judge scores normal reals, and fakes that lie d above them. d varies between runs, and between the judges of one.
    """

    runs: int
    judges: int
    real: int
    fake: int
    between_runs: float
    between_judges: float


SHARED = 0.7
"""Of a score's variance, what the image alone decides, whoever judges it."""
DESIGNS = {
    "one run, few images": Design(1, 3, 100, 100, 0.0, 0.15),
    "one run, judges apart": Design(1, 3, 300, 600, 0.0, 0.15),
    "three seeds": Design(3, 1, 120, 240, 0.2, 0.0),
    "five seeds alike": Design(5, 1, 120, 240, 0.0, 0.0),
    "ten seeds": Design(10, 1, 80, 160, 0.2, 0.0),
}


def simulated(rng: np.random.Generator, design: Design, auc: float) -> Estimate:
    """The estimate of one study whose true AUC, over all that is drawn, is ``auc``."""
    apart = norm.ppf(auc) * np.sqrt(2 + design.between_runs**2 + design.between_judges**2)
    reals, of_runs = rng.normal(size=design.real), []
    for run in range(design.runs):
        of_run, fakes = apart + design.between_runs * rng.normal(), rng.normal(size=design.fake)
        judged = []
        for _ in range(design.judges):
            of_judge = of_run + design.between_judges * rng.normal()
            real, fake = (
                np.sqrt(SHARED) * image + np.sqrt(1 - SHARED) * rng.normal(size=len(image)) for image in (reals, fakes)
            )
            judged.append(influence(scores_of(real, fake + of_judge), run))
        of_runs.append(judged)
    return estimate(of_runs)


def held(design: Design, auc: float) -> dict[str, int]:
    """How often the truth is in the 95% interval, not below the lower and not above the upper 95% bound."""
    rng = np.random.default_rng([design.runs, design.real, round(1000 * auc)])
    counts = {"interval": 0, "low": 0, "high": 0}
    for found in (simulated(rng, design, auc) for _ in range(REPEATS)):
        counts["interval"] += found.low(0.025) <= auc <= found.high(0.025)
        counts["low"] += found.low(0.05) <= auc
        counts["high"] += auc <= found.high(0.05)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_intervals_hold_the_truth_as_often_as_they_say(design):
    """At every AUC not more rarely; where no floor is needed, over all moderate AUCs together, nor more often."""
    counts = {auc: held(design, auc) for auc in AUCS}
    for end, allowed in (("interval", SKEWED / 2), ("low", SKEWED), ("high", SKEWED)):
        fewest = binom.ppf(RARE / len(AUCS), REPEATS, 0.95 - allowed)
        assert [auc for auc in AUCS if counts[auc][end] < fewest] == [], (end, counts)
        together, of = sum(counts[auc][end] for auc in MODERATE), REPEATS * len(MODERATE)
        assert together >= binom.ppf(RARE, of, 0.95 - allowed), (end, counts)
        assert together <= binom.ppf(1 - RARE, of, 0.95 + allowed), (end, counts)


def test_runs_taken_for_one_run_do_not():
    """The same intervals without the error between seeds: what the test above would not let pass."""
    rng, repeats, covered = np.random.default_rng(3), 200, 0
    for _ in range(repeats):
        of_run = norm.ppf(0.8) * np.sqrt(2 + 0.4**2) + 0.4 * rng.normal()
        real, fake = rng.normal(size=150), rng.normal(size=300) + of_run
        found = estimate([[influence(scores_of(real, fake))]])
        covered += found.low(0.025) <= 0.8 <= found.high(0.025)
    assert covered < binom.ppf(RARE, repeats, 0.95)
