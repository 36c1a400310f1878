import numpy as np
import pytest

from arena.answer.estimate import Estimate, estimate, in_words, needed
from arena.answer.findings import holm
from arena.metrics.auc import influence
from tests.metrics.scores import scores_of


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [True, False, False, True]),  # 0.005 <= .05/4, 0.01 <= .05/3, 0.03 > .05/2
        ([0.02, 0.02, 0.02], [False, False, False]),  # Bonferroni's first step already fails
        ([0.016, 0.024, 0.05], [True, True, True]),
        ([0.05], [True]),
        ([1.0, 1e-9], [False, True]),
    ],
)
def test_holm(p_values, rejected):
    found = holm({str(k): p for k, p in enumerate(p_values)}, 0.05)
    assert list(found.values()) == rejected


def test_true_nulls_are_caught_no_more_than_alpha_allows():
    """Family-wise, over batteries of five true nulls with three judges each."""
    rng = np.random.default_rng(0)
    caught = 0
    for _ in range(60):
        p_values = {}
        for technique in range(5):
            image = rng.normal(size=(2, 60))
            judged = [influence(scores_of(*(image + rng.normal(size=(2, 60))))) for _ in range(3)]
            p_values[str(technique)] = estimate([judged]).p_above(0.5)
        caught += any(holm(p_values, 0.05).values())
    assert caught <= 9  # 99.9% of a binomial of 60 at 0.05


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
