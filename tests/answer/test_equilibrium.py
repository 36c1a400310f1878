import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from arena.answer.equilibrium import duality_gap, equilibrium, exploitability, last_pair
from arena.metrics.auc import auc
from tests.answer.games import hand_made

PENNIES = np.array([[1.0, 0.0], [0.0, 1.0]])
ROCK_PAPER_SCISSORS = np.array([[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.5]])


@pytest.mark.parametrize(
    ("payoffs", "value", "generators", "detectors"),
    [
        pytest.param(PENNIES, 0.5, [0.5, 0.5], [0.5, 0.5], id="matching pennies"),
        pytest.param(PENNIES[[0, 1, 1, 1]], 0.5, [0.5, 1 / 6, 1 / 6, 1 / 6], [0.5, 0.5], id="copies share"),
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


@settings(max_examples=40)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_never_negative_and_zero_just_at_equilibrium(size, seed):
    rng = np.random.default_rng(seed)
    payoffs = rng.random((size, size))
    solved = equilibrium(payoffs)
    for x, y in zip(*rng.dirichlet(np.ones(size), (2, 3)), strict=True):
        gap = duality_gap(payoffs, x, y)
        assert gap >= -1e-12
        # The gap is the sum of the two sides' losses, each at least 0.
        losses = (x @ payoffs).max() - solved.value, solved.value - (payoffs @ y).min()
        np.testing.assert_allclose(gap, sum(losses), atol=1e-9)
    assert duality_gap(payoffs, solved.generators, solved.detectors) < 1e-6


def test_the_last_pair():
    # An arms race: each detector catches the fakes up to its round, the last generator is the best.
    payoffs = np.array([[0.9, 0.95, 0.9], [0.2, 0.85, 0.9], [0.1, 0.3, 0.8]])
    for rounds, gap in ((3, 0.8 - 0.8), (2, 0.85 - 0.85)):
        pair = last_pair(hand_made(payoffs[:rounds, :rounds], error=1e-6)).gap
        assert pair.value == pytest.approx(gap)
        assert (pair.low, pair.high) == pytest.approx((pair.value, pair.value), abs=1e-4)
    backwards = last_pair(hand_made(payoffs[::-1, ::-1], error=1e-6)).gap
    assert backwards.value == pytest.approx(0.95 - 0.1)


def test_what_noise_makes_is_within_its_bias_and_its_bound():
    # All cells 0.7: no pair is exploitable, and the measured gap is the choice of the luckiest cells.
    rng = np.random.default_rng(1)
    first = np.eye(8)[0]
    results = [exploitability(hand_made(rng.normal(0.7, 0.02, (8, 8)), 0.02), first, first) for _ in range(60)]
    assert np.mean([each.gap.value for each in results]) == pytest.approx(results[0].bias, abs=0.01)
    assert results[0].bias > 0.04
    assert np.mean([each.gap.low > 0.0 for each in results]) <= 0.1


def test_the_interval_covers_a_gap_that_is_there():
    rng, first = np.random.default_rng(2), np.eye(6)[0]
    truth = np.full((6, 6), 0.7) + 0.05 * np.arange(6) - 0.03 * np.arange(6)[:, None]
    gap = duality_gap(truth, first, first)
    covered, above, biases = [], [], []
    for _ in range(150):
        result = exploitability(hand_made(truth + rng.normal(0, 0.03, truth.shape), 0.03), first, first)
        covered.append(result.gap.low <= gap <= result.gap.high)
        above.append(result.gap.value - gap)
        biases.append(result.bias)
        assert result.gap.low <= result.gap.value <= result.gap.high + 1e-9
    assert np.mean(covered) >= 0.95
    assert 0.0 < np.mean(above) <= np.mean(biases)


def test_one_round_has_nothing_to_gain():
    only = last_pair(hand_made([[0.8]]))
    assert (*only.gap, only.bias) == (0.0, 0.0, 0.0, 0.0)
