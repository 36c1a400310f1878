import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from arena.answer.equilibrium import duality_gap, equilibrium
from arena.metrics.auc import auc

PENNIES = np.array([[1.0, 0.0], [0.0, 1.0]])
ROCK_PAPER_SCISSORS = np.array([[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.5]])


@pytest.mark.parametrize(
    ("payoffs", "value", "generators", "detectors"),
    [
        pytest.param(PENNIES, 0.5, [0.5, 0.5], [0.5, 0.5], id="matching pennies"),
        pytest.param(ROCK_PAPER_SCISSORS, 0.5, [1 / 3] * 3, [1 / 3] * 3, id="rock, paper, scissors"),
        # By indifference: x (0.9, 0.3) + (1 - x) (0.4, 0.8) equal, so x = 0.4; value 0.6; y = 0.5.
        pytest.param([[0.9, 0.3], [0.4, 0.8]], 0.6, [0.4, 0.6], [0.5, 0.5], id="2x2, mixed"),
        pytest.param([[0.6, 0.7], [0.8, 0.9]], 0.7, [1.0, 0.0], [0.0, 1.0], id="a saddle point"),
        pytest.param(
            [[0.9, 0.3, 0.2], [0.4, 0.8, 0.7], [0.95, 0.9, 0.75]], 0.6, [0.4, 0.6, 0.0], [0.5, 0.5, 0.0], id="dominated"
        ),
        pytest.param([[0.7]], 0.7, [1.0], [1.0], id="one of each"),
        pytest.param([[0.9, 0.3, 0.6], [0.4, 0.8, 0.6]], 0.6, [0.4, 0.6], [1 / 3] * 3, id="a column among equals"),
        pytest.param(np.ones((4, 3)), 1.0, [0.25] * 4, [1 / 3] * 3, id="nobody hides: all the same to all"),
    ],
)
def test_games_solved_by_hand(payoffs, value, generators, detectors):
    found = equilibrium(np.asarray(payoffs))
    assert found.value == pytest.approx(value, abs=1e-9)
    np.testing.assert_allclose(found.generators, generators, atol=1e-6)
    np.testing.assert_allclose(found.detectors, detectors, atol=1e-6)


def test_copies_share_what_one_would_play():
    copied = np.vstack([PENNIES, PENNIES[1:], PENNIES[1:]])
    found = equilibrium(copied)
    np.testing.assert_allclose(found.generators, [0.5, 1 / 6, 1 / 6, 1 / 6], atol=1e-6)
    np.testing.assert_allclose(found.detectors, [0.5, 0.5], atol=1e-6)


@settings(max_examples=60)
@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 2**32 - 1), st.sampled_from([2, 10, 10_000]))
def test_nobody_gains_by_leaving_and_the_value_is_that_of_the_textbook(rows, columns, seed, levels):
    payoffs = np.random.default_rng(seed).integers(0, levels + 1, (rows, columns)) / levels
    found = equilibrium(payoffs)
    for strategy in (found.generators, found.detectors):
        assert strategy.min() >= 0.0
        assert strategy.sum() == pytest.approx(1.0)
    assert duality_gap(payoffs, found.generators, found.detectors) == pytest.approx(0.0, abs=1e-6)
    # The generators' side alone: min v with x P <= v.
    constraints = np.hstack([payoffs.T, -np.ones((columns, 1))])
    textbook = linprog(
        [0.0] * rows + [1.0],
        constraints,
        np.zeros(columns),
        [[1.0] * rows + [0.0]],
        [1.0],
        bounds=[(0, None)] * rows + [(None, None)],
    )
    assert found.value == pytest.approx(textbook.fun, abs=1e-8)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_no_equilibrium_is_more_even(seed):
    # Few levels make many equilibria: against points of the same set, found at random by linear programme.
    rng = np.random.default_rng(seed)
    payoffs = rng.integers(0, 3, (4, 4)) / 2
    found = equilibrium(payoffs)
    entropy = -np.sum(found.generators * np.log(np.clip(found.generators, 1e-300, 1.0)))
    for _ in range(5):
        other = linprog(
            rng.normal(size=4), payoffs.T, [found.value + 1e-9] * 4, [[1.0] * 4], [1.0], bounds=[(0, 1)] * 4
        )
        mixed = 0.5 * (other.x + found.generators)  # between two equilibria lies another
        for candidate in (other.x, mixed):
            assert entropy >= -np.sum(candidate * np.log(np.clip(candidate, 1e-300, 1.0))) - 1e-5


def test_auc_is_linear_in_a_mixture_of_generators_and_not_in_an_ensemble_of_detectors():
    rng = np.random.default_rng(0)
    real, fakes = rng.normal(size=300), [rng.normal(0.3, size=200), rng.normal(1.5, size=200)]

    def measured(of_real, of_fake):
        return auc(np.concatenate([of_real, of_fake]), np.repeat([0, 1], [len(of_real), len(of_fake)]))

    apart = [measured(real, fake) for fake in fakes]
    assert measured(real, np.concatenate(fakes)) == pytest.approx(np.mean(apart), abs=1e-12)
    # Two detectors of independent noise: their mean score catches more than either, so than either at random.
    noise = rng.normal(size=(2, 2, 300))
    views = [(noise[k, 0], 1.0 + noise[k, 1]) for k in range(2)]
    of_one = np.mean([measured(*view) for view in views])
    together = measured(*(np.mean([view[side] for view in views], axis=0) for side in (0, 1)))
    assert together > of_one + 0.05


def test_holes_are_no_game():
    with pytest.raises(ValueError, match="finite"):
        equilibrium(np.array([[0.5, np.nan], [0.5, 0.5]]))
