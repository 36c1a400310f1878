import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from arena.answer.power import MOST, Spread, power, reals_needed
from arena.config.compose import compose_config
from arena.data.split import split_reals
from arena.metrics.auc import influence
from arena.records.schema import Scores

TERMS = {"techniques": 5, "margin": 0.05, "alpha": 0.05}


@given(reals=st.integers(50, 5000), fakes=st.integers(50, 20_000), techniques=st.integers(1, 30))
def test_more_images_help_and_more_techniques_do_not(reals, fakes, techniques):
    here = power(reals=reals, fakes=fakes, techniques=techniques, margin=0.05, alpha=0.05)
    assert 0 <= here <= 1
    assert power(reals=2 * reals, fakes=fakes, techniques=techniques, margin=0.05, alpha=0.05) >= here
    assert power(reals=reals, fakes=2 * fakes, techniques=techniques, margin=0.05, alpha=0.05) >= here
    assert power(reals=reals, fakes=fakes, techniques=techniques, margin=0.08, alpha=0.05) >= here
    assert power(reals=reals, fakes=fakes, techniques=techniques + 1, margin=0.05, alpha=0.05) <= here


def test_the_reals_needed_are_the_fewest_with_that_power():
    needed = reals_needed(0.8, fakes=10_000, **TERMS)
    assert power(reals=needed, fakes=10_000, **TERMS) >= 0.8 > power(reals=needed - 1, fakes=10_000, **TERMS)
    assert reals_needed(0.8, fakes=100, **TERMS) == MOST  # no number of reals makes up for the fakes


@pytest.mark.parametrize(("data", "reals"), [("digits", 5620), ("portraits", 10_000)])
def test_a_perfect_generator_passes_the_default_race_in_at_least_four_of_five(data, reals):
    config = compose_config([f"data={data}"])
    judged = len(split_reals(reals, config.data.seed, locked=config.data.locked).judge)
    terms = {
        "techniques": len(config.battery.members) + 1,
        "margin": config.answer.margin,
        "alpha": config.answer.alpha,
    }
    assert config.data.get("n", reals) == reals
    assert power(reals=judged, fakes=config.bank.test, **terms) >= 0.8


def test_a_bound_is_passed_as_often_as_in_a_simulation():
    rng = np.random.default_rng(0)
    spread, bound, error, alpha = Spread(claimed=0.8, true=0.6), 0.03, 0.02, 0.05
    values = rng.normal(0, spread.true * error, 200_000)
    simulated = np.mean(values + norm.isf(alpha) * spread.claimed * error < bound)
    assert spread.passes(bound, error, alpha) == pytest.approx(simulated, abs=0.004)


def test_the_unit_is_the_error_of_one_detector_under_the_null():
    """DeLong's variance of random scores, whose reals count twice across folds."""
    rng, reals, fakes = np.random.default_rng(0), 1900, 6000
    label = np.repeat(np.array([0, 1], np.uint8), [reals, fakes])
    image = np.concatenate([np.arange(reals), np.arange(fakes)])
    folds = rng.integers(0, 3, len(label), dtype=np.uint8)
    scores = Scores(rng.normal(size=len(label)).astype(np.float32), label, image, folds, image)
    assert influence(scores).variance == pytest.approx(1 / (6 * reals) + 1 / (12 * fakes), rel=0.1)
