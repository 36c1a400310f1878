from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from scipy.stats import binom, norm, t

from arena.answer.estimate import Estimate, estimate, in_words, mean_interval, needed
from arena.metrics.auc import Influence, combine, influence, mean
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
    judged = [
        [influence(scores_of(rng.normal(size=80), rng.normal(0.3 * rng.normal(), 1, size=80)), bank)]
        for bank in range(12)
    ]
    apart = [[replace(one[0], real_id=one[0].real_id + 1000 * k, share=False)] for k, one in enumerate(judged)]
    result, values = estimate(apart), np.array([one[0].value for one in judged])
    assert result.value == pytest.approx(values.mean())
    assert (result.of_images, result.df) == (0, 11)
    assert result.within < result.of_repeats
    interval = t.interval(0.9, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert (result.low(0.05), result.high(0.05)) == pytest.approx(interval, rel=1e-6)


def judged(shifts, n=400, seed=1):
    rng = np.random.default_rng(seed)
    return [influence(scores_of(rng.normal(size=n), rng.normal(shift, 1, size=n))) for shift in shifts]


def test_judges_that_differ_widen_the_bounds():
    """Judges of equal mean, that agree or do not: the spread tells, and has but two degrees of freedom."""
    alike, apart = estimate([judged([0.5, 0.5, 0.5])]), estimate([judged([0.0, 0.5, 1.0])])
    assert apart.value == pytest.approx(alike.value, abs=0.02)
    assert apart.of_repeats > 10 * alike.of_repeats
    assert apart.high(0.05) - apart.value > 5 * (alike.high(0.05) - alike.value)


def test_judges_of_one_reading_are_one_judge_and_their_own_readings_count_once():
    """Of two judges, one bank: the images alone give the mean DeLong's variance of the mean reading."""
    one, other = judged([0.5, 0.5])
    same = estimate([[one, one]])
    assert (same.of_images, same.within) == pytest.approx((one.variance, 0.0))
    both = estimate([[one, other]])
    assert both.of_images + both.within == pytest.approx(mean([one, other]).variance)
    assert both.error**2 < mean([one, other]).variance + both.of_repeats


@pytest.mark.parametrize("shared_reals", [True, False])
def test_runs_that_agree_by_luck_keep_the_error_that_their_images_make(shared_reals):
    """Three paired differences of almost one value: the spread alone would give a half-width of 0.0001."""
    rng = np.random.default_rng(2)
    pairs, reals = [], rng.normal(size=(3, 300))
    for number in range(3):
        real = reals[0 if shared_reals else number]
        ours, theirs = (
            influence(scores_of(real + 0.3 * rng.normal(size=300), 1 + rng.normal(size=300)), 2 * number + side)
            for side in (0, 1)
        )
        difference = combine([ours, theirs], [1.0, -1.0])
        pairs.append([replace(difference, value=0.06 + 2e-5 * number)])
    found = estimate(pairs)
    alone = np.mean([pair[0].fake @ pair[0].fake for pair in pairs]) / 3
    assert found.interval().high - found.value > norm.isf(0.025) * np.sqrt(alone)
    assert found.error**2 >= alone > 1e3 * found.of_repeats


@pytest.mark.parametrize("value", [0.0, 0.02, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("alpha", [0.3, 0.05, 1e-6])
def test_bounds_and_p_values_agree(value, share, alpha):
    found = Estimate(value, 1e-4, 4e-5, 2, 500, 3, 1, within=5e-5, within_df=499, share=share)
    low, high = found.low(alpha), found.high(alpha)
    assert low <= value <= high
    if low > 0 or not share:
        assert found.p_above(low) == pytest.approx(alpha, rel=1e-4)
    if high < 1 or not share:
        assert found.p_below(high) == pytest.approx(alpha, rel=1e-4)
    if share:
        assert 0 <= low <= high <= 1
    assert found.p_above(value) == pytest.approx(0.5)


def test_the_bounds_of_a_share_are_wilsons():
    """Of 45 in 60 images (Wilson 1927): an interval of 0.6277 to 0.8422 by statsmodels' proportion_confint."""
    of_images = 0.75 * 0.25 / 60
    found = Estimate(0.75, of_images, 0.0, 0, 10**9, 1, 1, share=True).interval()
    assert (found.low, found.high) == pytest.approx((0.6277, 0.8422), abs=2e-4)


def test_the_quantile_is_cochrans():
    """Equal variances of 500 and 3 images: the mean of both quantiles of t (Cochran 1964)."""
    found = Estimate(0.1, 1e-4, 1e-4, 2, 501, 3, 1)
    assert found.reach(0.025) == pytest.approx((t.isf(0.025, 500) + t.isf(0.025, 2)) / 2 * np.sqrt(2e-4))


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


# --- coverage ---------------------------------------------------------------------------------------------------------

REPEATS = 600
RARE = 1e-3
"""Of a test here to fail by chance."""


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
    "three seeds alike": Design(3, 1, 120, 240, 0.0, 0.0),
    "three seeds": Design(3, 1, 120, 240, 0.1, 0.0),
    "three seeds far apart": Design(3, 1, 120, 240, 0.4, 0.0),
    "three seeds of two judges": Design(3, 2, 120, 240, 0.1, 0.1),
    "five seeds alike": Design(5, 1, 120, 240, 0.0, 0.0),
    "five seeds": Design(5, 1, 120, 240, 0.1, 0.0),
    "five seeds far apart": Design(5, 1, 120, 240, 0.4, 0.0),
}


def simulated(rng: np.random.Generator, design: Design, auc: float) -> Estimate:
    """Return the estimate of one study whose true AUC, over all that is drawn, is ``auc``."""
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


def held(design: Design, auc: float, repeats: int) -> dict[str, int]:
    """How often the truth is in the 95% interval, not below the lower and not above the upper 95% bound."""
    rng = np.random.default_rng([design.runs, design.real, round(1000 * auc)])
    counts = {"interval": 0, "low": 0, "high": 0}
    for found in (simulated(rng, design, auc) for _ in range(repeats)):
        counts["interval"] += found.low(0.025) <= auc <= found.high(0.025)
        counts["low"] += found.low(0.05) <= auc
        counts["high"] += auc <= found.high(0.05)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("auc", [0.55, 0.9])
@pytest.mark.parametrize("design", DESIGNS.values(), ids=DESIGNS)
def test_intervals_hold_the_truth_as_often_as_they_say(design, auc):
    """One-sided bounds too, near an AUC of 0.9 as near 1/2."""
    repeats = 150
    counts = held(design, auc, repeats)
    fewest = binom.ppf(RARE, repeats, 0.95)
    assert min(counts.values()) >= fewest, counts


@pytest.mark.slow
@pytest.mark.parametrize("runs", [3, 5])
@pytest.mark.parametrize("between", [0.0, 0.5, 5.0])
@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_over_runs_intervals_hold_for_any_spread_between_them(runs, between, shared):
    """Differences of normal error 1 by each run's own images. ``between`` and ``shared`` are variances besides.

    Where runs differ in nothing else, the wider of two intervals holds more often than stated, by at most 3%.
    """
    rng = np.random.default_rng([runs, round(10 * between), round(10 * shared)])
    held = np.zeros(3)
    real, fake = np.full(10, np.sqrt(shared / 10)), np.full(10, np.sqrt(0.1))
    ids = np.arange(10)
    for _ in range(REPEATS):
        common = np.sqrt(shared) * rng.normal()
        values = common + np.sqrt(1 + between) * rng.normal(size=runs)
        found = estimate(
            [[Influence(value, ids, real, ids, fake, 0.0).of_bank(number)] for number, value in enumerate(values)]
        )
        held += [found.low(0.025) <= 0 <= found.high(0.025), found.low(0.05) <= 0, found.high(0.05) >= 0]
    assert (held >= binom.ppf(RARE, REPEATS, 0.95)).all(), held / REPEATS
    assert (held <= binom.ppf(1 - RARE, REPEATS, 0.98)).all(), held / REPEATS


def test_where_runs_agree_too_well_the_interval_still_holds():
    """Of three runs alike, those whose spread is below a third of the images' error by luck: t alone would hold 61%."""
    rng = np.random.default_rng(3)
    ids, fake = np.arange(10), np.full(10, np.sqrt(0.1))
    held = []
    while len(held) < 300:
        values = rng.normal(size=3)
        if values.std(ddof=1) < 1 / 3:
            runs = [[Influence(value, ids, 0 * fake, ids, fake, 0.0).of_bank(k)] for k, value in enumerate(values)]
            held.append(estimate(runs).interval().low <= 0 <= estimate(runs).interval().high)
    assert np.sum(held) >= binom.ppf(RARE, len(held), 0.95)


def test_the_mean_of_runs_is_not_surer_than_the_errors_of_each():
    assert mean_interval([0.1, 0.1, 0.1], [0.03, 0.03, 0.03]).high == pytest.approx(0.1 + 2 * 0.03 / np.sqrt(3))
    apart = mean_interval([0.0, 0.1, 0.2], [0.001] * 3)
    assert apart[1:] == pytest.approx(t.interval(0.95, 2, 0.1, 0.1 / np.sqrt(3)))
    assert mean_interval([0.1], [0.02]).low == pytest.approx(0.06)
