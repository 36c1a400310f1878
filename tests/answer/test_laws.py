import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binom, norm

from arena.answer.laws import FEWEST, LEAST_SEEN, WIDEST, auc_of, saturation, separation, shape
from tests.answer.planted import Planted, planted

ROUNDS = np.arange(9.0)


RARE = 1e-3
"""Of a test here to fail by chance."""


def held(curves):
    """Of some curves: the number given a limit, and the number whose interval holds the truth."""
    found = [(saturation(*curve[:3]), curve.asymptote) for curve in curves]
    given = [fit.asymptote.low <= truth <= fit.asymptote.high for fit, truth in found if fit.asymptote is not None]
    return len(given), sum(given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "least"), [("exponential", 0.04), ("power law", 0.25), ("rising", 0.2), ("flat", 0.5), ("near half", 0.2)]
)
def test_the_interval_holds_in_every_kind_of_curve(kind, least):
    rng = np.random.default_rng(6)
    given, holds = held([planted(rng, kind) for _ in range(120)])
    assert given >= 120 * least
    assert holds >= binom.ppf(RARE, given, 0.95)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["slow exponential", "slow power law", "near one"])
def test_of_a_slow_curve_or_one_near_the_end_next_to_nothing_is_said(kind):
    """A third to two thirds of the way seen: chance alone can make one look settled, and few may."""
    rng = np.random.default_rng(7)
    given, holds = held([planted(rng, kind) for _ in range(120)])
    assert given <= 12
    assert given - holds <= 3


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["exponential", "power law"])
def test_clean_curves_are_identified(kind):
    rng = np.random.default_rng(8)
    given, holds = held([planted(rng, kind, sd=0.003, rounds=10) for _ in range(100)])
    assert given >= 50
    assert holds >= binom.ppf(RARE, given, 0.95)


def measured(rng, truth, sd=0.012, correlation=0.8):
    """A curve with the errors of some 1,500 reals that all rounds share, and of 10,000 fakes of each."""
    error = sd * np.sqrt(4 * truth * (1 - truth))
    covariance = np.outer(error, error) * ((1 - correlation) * np.eye(len(truth)) + correlation)
    y = np.clip(rng.multivariate_normal(truth, covariance), 0, 1)
    return Planted(np.arange(float(len(truth))), y, covariance, truth[-1])


@pytest.mark.parametrize(("rounds", "last"), [(6, 0.989), (8, 0.987), (10, 0.984)])
def test_a_drift_next_to_one_gets_no_number(rounds, last):
    """A fall from 0.993 in equal steps of the logit, whose limit is 1/2."""
    rng = np.random.default_rng(rounds)
    truth = expit(np.linspace(logit(0.993), logit(last), rounds))
    found = [saturation(*measured(rng, truth, sd, 0.5)[:3]) for sd in [0.012, 0.02] * 50]
    assert [fit.asymptote for fit in found] == [None] * 100
    assert found[0].reason == "the last point is above 0.97, where the AUC is pinned and tells no limit"


@pytest.mark.parametrize("late", [(), (0.975, 0.95, 0.9)])
def test_a_flat_start_next_to_one_gets_no_number_before_it_breaks_nor_then(late):
    rng = np.random.default_rng(1)
    truth = np.array([0.98] * 10 + list(late))
    assert {saturation(*measured(rng, truth)[:3]).asymptote for _ in range(100)} == {None}


@pytest.mark.slow
@pytest.mark.parametrize(("start", "share"), [(0.96, 0.85), (0.99, 0.7)])
def test_a_plateau_gets_its_number_at_ten_rounds(start, share):
    """AUC of 0.90 reached with a decay of two rounds. From 0.99 the first points are pinned, and left out."""
    rng = np.random.default_rng(2)
    truth = 0.9 + (start - 0.9) * np.exp(-np.arange(10) / 2)
    curves = [measured(rng, truth)._replace(asymptote=0.9) for _ in range(150)]
    given, holds = held(curves)
    assert given >= share * 150
    assert holds >= binom.ppf(RARE, given, 0.95)


@pytest.mark.parametrize("level", [0.95, 0.96, 0.965, 0.97, 0.975])
def test_points_that_are_pinned_by_chance_do_not_lower_the_limit(level):
    """A flat curve beside the end of what is fitted: of 12 points, those after the last pinned one."""
    rng = np.random.default_rng(3)
    given, holds = held([measured(rng, np.full(12, level), 0.02, 0.5) for _ in range(100)])
    assert given - holds <= 3


def test_pinned_points_are_left_out_and_the_law_counts_from_the_first_that_is_not():
    d = separation(np.array(0.8)) + 1.3 * np.exp(-ROUNDS)
    y = np.concatenate([[0.999, 0.98, 0.96, 0.975], auc_of(d)])
    x = np.arange(float(len(y)))
    fit, alone = (saturation(x[k:], y[k:], 1e-7 * np.eye(len(y) - k)) for k in (0, 4))
    assert fit.fitted.tolist() == x[4:].tolist()
    assert fit.asymptote == alone.asymptote
    np.testing.assert_allclose(fit.laws[0].at(ROUNDS), auc_of(d), atol=2e-3)


@pytest.mark.parametrize("family", ["exponential", "power law"])
@pytest.mark.parametrize("change", [-1.2, 0.8])
def test_a_curve_without_noise_gives_back_its_asymptote(family, change):
    limit = separation(np.array(0.7))
    truth = auc_of(limit + change * shape(family, np.array([1.2]), ROUNDS)[0])
    fit = saturation(ROUNDS, truth, 1e-7 * np.eye(9))
    law = next(law for law in fit.laws if law.family == family)
    assert auc_of(np.array(law.a)) == pytest.approx(0.7, abs=2e-3)
    np.testing.assert_allclose(law.at(ROUNDS), truth, atol=2e-3)
    assert fit.asymptote is not None
    assert fit.asymptote.low < 0.7 < fit.asymptote.high
    low, high = fit.band(np.append(ROUNDS, np.inf))
    assert (low[:-1] < truth).all()
    assert (truth < high[:-1]).all()
    assert (low[-1], high[-1]) == fit.asymptote[1:]


def test_a_family_that_fits_worse_drops_out():
    exponential = auc_of(0.4 + 1.8 * np.exp(-0.8 * ROUNDS))
    laws = saturation(ROUNDS, exponential, 1e-7 * np.eye(9)).laws
    assert [(law.family, law.drops_out) for law in laws] == [("exponential", False), ("power law", True)]


def test_the_end_of_the_interval_is_the_last_the_likelihood_allows():
    """Found again by brute force: hold a, fit b for every shape of a finer grid."""
    rng = np.random.default_rng(0)
    d = 0.7 + 1.5 * (1 + ROUNDS) ** -1.5 + 0.03 * rng.normal(size=9)
    y, of_d = auc_of(d), 0.03**2 * (0.7 * np.eye(9) + 0.3)
    slope = norm.pdf(d / np.sqrt(2)) / np.sqrt(2)
    covariance = of_d * np.outer(slope, slope)
    fit = saturation(ROUNDS, y, covariance)
    assert fit.asymptote is not None
    slow = np.geomspace(0.0507, 4, 400), np.geomspace(0.1846, 5.7, 400)
    inverse = np.linalg.inv(of_d + fit.extra_sd**2 * np.eye(9))

    def least_error(a):
        errors = []
        for f in (*shape("exponential", slow[0], ROUNDS), *shape("power law", slow[1], ROUNDS)):
            rest = d - a - f * (f @ inverse @ (d - a)) / (f @ inverse @ f)
            errors.append(rest @ inverse @ rest)
        return min(errors)

    for end in fit.asymptote[1:]:
        assert least_error(separation(np.array(end))) == pytest.approx(fit.most, rel=0.02)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        ([0.96, 0.96, 0.96, 0.95, 0.92, 0.87], "still falling"),  # a shoulder
        ([0.95] * 8 + [0.94, 0.88], "still falling"),  # flat, but for its end
        ([1.0] * 8 + [0.97, 0.92], "1 points after the last pinned one"),
        ([0.5] * 8 + [0.02], "the last point is below 0.03"),
        ([0.95, 0.92, 0.89, 0.86, 0.83, 0.80, 0.77], "still falling"),
        ([0.6, 0.62, 0.65, 0.67, 0.69, 0.72, 0.74], "still rising"),
        ([0.9, 0.8, 0.9, 0.8, 0.9, 0.8, 0.9], "any limit from"),
        ([0.93, 0.969, 0.95, 0.969, 0.95, 0.969, 0.95], "any limit from"),
        ([0.9, 0.8, 0.75, 0.72, 0.7], "5 points"),
        ([1.0, 0.8, 0.72, 0.73, 0.75, 0.77, 0.79, 0.81], "no law"),  # it turns
        ([0.9], "1 points"),
    ],
)
def test_what_is_not_identifiable_says_why_and_no_number(y, why):
    fit = saturation(np.arange(float(len(y))), np.array(y), 0.005**2 * np.eye(len(y)))
    assert fit.asymptote is None
    assert fit.reason.startswith(why)


def test_six_points_are_enough():
    y = auc_of(1.2 + 1.0 * np.exp(-2.0 * np.arange(FEWEST)))
    assert saturation(np.arange(float(FEWEST)), y, 0.001**2 * np.eye(FEWEST)).reason == ""


def test_a_flat_curve_is_its_mean_and_its_interval_is_never_narrower_than_what_all_points_share():
    y = 0.75 + 0.004 * np.array([1, -1, 0, 1, -1, 1, -1, 0, 0.0])
    apart = saturation(ROUNDS, y, 0.003**2 * np.eye(9))
    assert apart.asymptote is not None
    assert apart.asymptote.value == pytest.approx(0.75, abs=1e-3)
    shared = saturation(ROUNDS, y, 0.003**2 * np.eye(9) + 0.02**2)
    assert shared.asymptote is not None
    assert apart.asymptote is not None
    assert apart.asymptote.high - apart.asymptote.low < WIDEST / 2
    assert shared.asymptote.high - shared.asymptote.low > 2 * 1.96 * 0.02


@given(seed=st.integers(0, 1000), scale=st.floats(0.5, 3.0), shift=st.floats(-5.0, 5.0))
@settings(max_examples=15, deadline=None)
def test_turned_over_and_moved_along_it_is_the_same_curve(seed, scale, shift):
    curve = planted(np.random.default_rng(seed), "exponential")
    fit, other = saturation(*curve[:3]), saturation(curve.x + shift, 1 - curve.y, curve.covariance)
    assert (fit.asymptote is None) == (other.asymptote is None)
    if fit.asymptote is not None and other.asymptote is not None:
        assert fit.asymptote.low == pytest.approx(1 - other.asymptote.high, abs=1e-6)


def test_no_shape_has_less_of_its_change_within_the_points_than_declared():
    fit = saturation(ROUNDS, 0.7 + 0.2 * np.exp(-ROUNDS), 1e-6 * np.eye(9))
    for grid in fit.grids:
        seen = 1 - shape(grid.family, grid.decay, ROUNDS[-1:])[:, 0]
        assert seen.min() == pytest.approx(LEAST_SEEN)
