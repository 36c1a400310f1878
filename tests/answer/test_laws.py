import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.answer.laws import FEWEST, LEAST_SEEN, WIDEST, saturation, shape
from tests.answer.planted import planted

ROUNDS = np.arange(9.0)


def held(curves):
    """Of some curves: the share given a number, and of these the share whose interval holds the truth."""
    found = [(saturation(*curve[:3]), curve.asymptote) for curve in curves]
    given = [fit.asymptote.low <= truth <= fit.asymptote.high for fit, truth in found if fit.asymptote is not None]
    return len(given) / len(found), float(np.mean(given))


@pytest.mark.parametrize(
    ("kind", "least"),
    [("exponential", 0.15), ("power law", 0.35), ("rising", 0.3), ("flat", 0.5), ("near one", 0.7), ("near half", 0.3)],
)
def test_the_interval_holds_in_every_kind_of_curve(kind, least):
    rng = np.random.default_rng(6)
    share, holds = held([planted(rng, kind) for _ in range(120)])
    assert holds >= 0.93
    assert share >= least


@pytest.mark.parametrize("kind", ["slow exponential", "slow power law"])
def test_of_a_slow_curve_next_to_nothing_is_said(kind):
    """A third to two thirds of the way seen: chance alone can make one look settled, and few may."""
    rng = np.random.default_rng(7)
    share, holds = held([planted(rng, kind) for _ in range(120)])
    assert share <= 0.1
    assert share * (1 - holds) <= 0.02


@pytest.mark.parametrize("kind", ["exponential", "power law"])
def test_clean_curves_are_identified(kind):
    rng = np.random.default_rng(8)
    share, holds = held([planted(rng, kind, sd=0.003, rounds=10) for _ in range(100)])
    assert share >= 0.5
    assert holds >= 0.93


@pytest.mark.parametrize("family", ["exponential", "power law"])
@pytest.mark.parametrize("change", [-0.3, 0.2])
def test_a_curve_without_noise_gives_back_its_asymptote(family, change):
    truth = 0.7 + change * shape(family, np.array([1.2]), ROUNDS)[0]
    fit = saturation(ROUNDS, truth, 1e-7 * np.eye(9))
    law = next(law for law in fit.laws if law.family == family)
    assert law.a == pytest.approx(0.7, abs=2e-3)
    np.testing.assert_allclose(law.at(ROUNDS), truth, atol=2e-3)
    assert fit.asymptote is not None
    assert fit.asymptote.low < 0.7 < fit.asymptote.high
    low, high = fit.band(np.append(ROUNDS, np.inf))
    assert (low[:-1] < truth).all()
    assert (truth < high[:-1]).all()
    assert (low[-1], high[-1]) == fit.asymptote[1:]


def test_a_family_that_fits_worse_drops_out():
    exponential = 0.6 + 0.35 * np.exp(-0.8 * ROUNDS)
    laws = saturation(ROUNDS, exponential, 1e-7 * np.eye(9)).laws
    assert [(law.family, law.drops_out) for law in laws] == [("exponential", False), ("power law", True)]


def test_the_end_of_the_interval_is_the_last_the_likelihood_allows():
    """Found again by brute force: hold a, fit b for every shape of a finer grid."""
    rng = np.random.default_rng(0)
    y = 0.7 + 0.25 * (1 + ROUNDS) ** -1.5 + 0.006 * rng.normal(size=9)
    covariance = 0.005**2 * (0.7 * np.eye(9) + 0.3)
    fit = saturation(ROUNDS, y, covariance)
    assert fit.asymptote is not None
    slow = np.geomspace(0.0507, 4, 400), np.geomspace(0.1846, 5.7, 400)
    inverse = np.linalg.inv(covariance + fit.extra_sd**2 * np.eye(9))

    def least_error(a):
        errors = []
        for f in (*shape("exponential", slow[0], ROUNDS), *shape("power law", slow[1], ROUNDS)):
            rest = y - a - f * (f @ inverse @ (y - a)) / (f @ inverse @ f)
            errors.append(rest @ inverse @ rest)
        return min(errors)

    for end in fit.asymptote[1:]:
        assert least_error(end) == pytest.approx(fit.most, rel=0.02)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        ([1.00, 1.00, 1.00, 0.99, 0.94, 0.87], "still falling"),  # a shoulder
        ([1.0] * 8 + [0.97, 0.92], "still falling"),  # flat, but for its end
        ([0.95, 0.92, 0.89, 0.86, 0.83, 0.80, 0.77], "still falling"),
        ([0.6, 0.62, 0.65, 0.67, 0.69, 0.72, 0.74], "still rising"),
        ([0.9, 0.8, 0.9, 0.8, 0.9, 0.8, 0.9], "any limit from"),
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
    y = 0.8 + 0.15 * np.exp(-2.0 * np.arange(FEWEST))
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
