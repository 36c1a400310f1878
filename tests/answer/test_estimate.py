from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, t

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
