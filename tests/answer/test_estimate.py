from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import binom, norm, t

from arena.answer.estimate import Estimate, estimate, in_words, needed
from arena.metrics.auc import influence
from tests.metrics.scores import scores_of


def test_the_estimate_of_runs_that_share_reals_keeps_the_error_of_the_reals():
    """Such runs agree too well: the error of their mean must not fall below the contribution of the reals."""
    rng = np.random.default_rng(10)
    covered, naive, repeats, n, runs = 0, 0, 200, 60, 6
    for _ in range(repeats):
        real = rng.normal(size=n)
        judged = [
            [influence(scores_of(real + 0.2 * rng.normal(size=n), 1.02 * rng.normal(size=400)), bank)]
            for bank in range(runs)
        ]
        result = estimate(judged)
        covered += result.low(0.025) <= 0.5 <= result.high(0.025)
        values = np.array([judges[0].value for judges in judged])
        naive += abs(values.mean() - 0.5) < 2.571 * values.std(ddof=1) / np.sqrt(runs)  # t(5) at 97.5%
    assert covered >= binom.ppf(0.001, repeats, 0.94)
    assert naive < 0.8 * repeats


def test_runs_with_their_own_reals_are_a_sample_for_students_t():
    rng = np.random.default_rng(11)
    judged = [[influence(scores_of(*rng.normal(size=(2, 80))), bank)] for bank in range(12)]
    apart = [[replace(one[0], real_id=one[0].real_id + 1000 * k)] for k, one in enumerate(judged)]
    result, values = estimate(apart), np.array([one[0].value for one in judged])
    assert result.value == pytest.approx(values.mean())
    assert result.df == pytest.approx(11, rel=1e-6)
    interval = t.interval(0.9, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert (result.low(0.05), result.high(0.05)) == pytest.approx(interval, rel=1e-6)
    assert result.p_above(0.4) < 0.01 < 0.5 < result.p_above(0.6)


def judged(shifts, n=400, seed=1):
    rng = np.random.default_rng(seed)
    return [influence(scores_of(rng.normal(size=n), rng.normal(shift, 1, size=n))) for shift in shifts]


def test_judges_that_differ_widen_the_bounds():
    """Judges of equal mean, that agree or do not: the spread tells, and has but two degrees of freedom."""
    alike, apart = estimate([judged([0.5, 0.5, 0.5])]), estimate([judged([0.0, 0.5, 1.0])])
    assert apart.value == pytest.approx(alike.value, abs=0.02)
    assert apart.of_repeats > 10 * alike.of_repeats
    assert apart.df < 3 < 10 < alike.df
    assert apart.high(0.05) - apart.value > 5 * (alike.high(0.05) - alike.value)


def test_bounds_and_p_values_agree():
    found = estimate([judged([0.1, 0.2, 0.3])])
    assert found.p_above(found.low(0.05)) == pytest.approx(0.05)
    assert found.p_below(found.high(0.05)) == pytest.approx(0.05)


def an_estimate(value, of_images, of_repeats):
    return Estimate(value, of_images, of_repeats, df=100, images=500, repeats=3, runs=1)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        # allowed is a variance of (0.03 / (1.645 + 0.842)) squared, 1.456e-4: 500 * 3e-4 / 1.456e-4 images
        (an_estimate(0.52, 3e-4, 0.0), (1031, None, False)),
        (an_estimate(0.52, 1e-4, 1e-4), (1098, 7, False)),
        (an_estimate(0.52, 2e-4, 2e-4), (1374, 9, True)),
    ],
)
def test_numbers_that_would_decide(found, expected):
    numbers = needed(found, 0.55, 0.05)
    assert (numbers.images, numbers.repeats, numbers.together) == expected
    assert "test images of each class" in in_words(numbers, found.runs)


def test_on_the_margin_no_number_decides():
    assert "more than 10,000,000" in in_words(needed(an_estimate(0.55, 3e-4, 1e-4), 0.55, 0.05), runs=1)


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
    """At every AUC not more rarely; where no floor is needed, over all moderate AUCs together, nor more often.

    Found in 1,200 studies of a case each: the interval covers 93 to 95% up to an AUC of 0.95, and ever more beyond,
    where the floor for wrong images yet unseen widens it. Its ends are not equally right: estimates far above the truth
    have a smaller error than those far below, so that the lower bound at 95% covers 91 to 94%, the upper 96 to 97%.
    """
    counts = {auc: held(design, auc) for auc in AUCS}
    for end, allowed in (("interval", SKEWED / 2), ("low", SKEWED), ("high", SKEWED)):
        fewest = binom.ppf(RARE / len(AUCS), REPEATS, 0.95 - allowed)
        assert [auc for auc in AUCS if counts[auc][end] < fewest] == [], (end, counts)
        together, of = sum(counts[auc][end] for auc in MODERATE), REPEATS * len(MODERATE)
        assert together >= binom.ppf(RARE, of, 0.95 - allowed), (end, counts)
        assert together <= binom.ppf(1 - RARE, of, 0.95 + allowed), (end, counts)
