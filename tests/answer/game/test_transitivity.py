import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.answer.game.structure import hodge, pairs, transitivity, two_way
from tests.answer.game.games import hand_made

ROCK_PAPER_SCISSORS = np.array([[0.0, 1.0, -1.0], [-1.0, 0.0, 1.0], [1.0, -1.0, 0.0]])

seeds = st.integers(0, 2**32 - 1)


@given(st.integers(1, 6), st.integers(1, 6), seeds)
def test_squares_add_up_and_the_fit_is_that_of_least_squares(rows, columns, seed):
    matrix = np.random.default_rng(seed).random((rows, columns))
    fit = two_way(matrix)
    total = columns * np.sum(fit.generators**2) + rows * np.sum(fit.detectors**2) + np.sum(fit.interaction**2)
    assert total == pytest.approx(np.sum((matrix - matrix.mean()) ** 2))
    design = np.hstack([np.kron(np.eye(rows), np.ones((columns, 1))), np.kron(np.ones((rows, 1)), np.eye(columns))])
    fitted = design @ np.linalg.lstsq(design, matrix.ravel(), rcond=None)[0]
    np.testing.assert_allclose(fit.interaction.ravel(), matrix.ravel() - fitted, atol=1e-9)


@given(st.integers(1, 7), seeds)
def test_hodge(size, seed):
    upper = np.triu(np.random.default_rng(seed).normal(size=(size, size)), 1)
    game = upper - upper.T
    rating, rotation = hodge(game)
    gradient = rating[:, None] - rating[None, :]
    np.testing.assert_allclose(gradient + rotation, game, atol=1e-12)
    assert np.sum(gradient * rotation) == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(rotation.mean(axis=1), 0.0, atol=1e-12)
    # The definition by curls: rot_ij is the mean over k of A_ij + A_jk - A_ik.
    curl = game[:, :, None] + game[None, :, :] - game[:, None, :]
    np.testing.assert_allclose(rotation, curl.mean(axis=2), atol=1e-12)


def test_a_ranking_has_no_rotation_and_rock_paper_scissors_nothing_else():
    rating = np.array([3.0, 1.0, -2.0])
    found = hodge(rating[:, None] - rating[None, :])
    np.testing.assert_allclose(found.rotation, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.rating, rating - rating.mean())
    np.testing.assert_allclose(hodge(ROCK_PAPER_SCISSORS).rotation, ROCK_PAPER_SCISSORS)


@pytest.mark.parametrize("size", [2, 3, 5, 11])
def test_an_even_dominance_has_the_rotation_that_its_docstring_says(size):
    race = np.where(np.triu(np.ones((size, size)), 0) > 0, 0.9, 0.1)  # later detectors catch earlier fakes
    found = transitivity(hand_made(race)).cyclic
    assert found.value == pytest.approx((size - 2) / (3 * size))
    assert (pairs(race)[np.tril_indices(size, -1)] > 0).all()  # later pairs win


def test_shares_of_games_of_one_kind():
    ramp = 0.1 * np.arange(5)
    by_generator = transitivity(hand_made(0.3 + np.repeat(ramp[:, None], 5, axis=1)))
    assert by_generator.generators == pytest.approx(1.0)
    by_detector = transitivity(hand_made(0.3 + np.repeat(ramp[None], 5, axis=0)))
    assert by_detector.detectors == pytest.approx(1.0)
    specialised = transitivity(hand_made(0.5 + 0.4 * np.eye(5)))
    assert specialised.interaction.value == pytest.approx(1.0)
    assert specialised.interaction.p < 0.001


def test_circling_rounds_rotate():
    found = transitivity(hand_made(0.5 + 0.4 * ROCK_PAPER_SCISSORS)).cyclic
    assert found.value == pytest.approx(1.0)
    assert found.p < 0.001


def test_the_floor_is_what_noise_makes():
    rng = np.random.default_rng(0)
    ranked = 0.5 + 0.03 * np.arange(6)[:, None] + 0.02 * np.arange(6)[None]
    found = [transitivity(hand_made(ranked + rng.normal(0, 0.02, ranked.shape), 0.02)) for _ in range(150)]
    shares = np.array([its.interaction.value for its in found])
    assert shares.mean() == pytest.approx(np.mean([its.interaction.floor for its in found]), rel=0.1)
    # Under no interaction p is uniform: it calls 5% at the level of 5%, within binomial error.
    assert np.mean([its.interaction.p < 0.05 for its in found]) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)
    assert 0.4 < np.median([its.interaction.p for its in found]) < 0.6


def test_the_floor_of_shared_errors_is_not_that_of_independent_ones():
    # One error common to all cells moves the mean, and puts nothing into the interaction.
    game = hand_made(0.5 + 0.1 * np.eye(4))
    common = type(game)(game.technique, game.values, np.full((16, 16), 0.01), game.floor, game.images)
    assert transitivity(common).interaction.floor == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("values", [[[0.8]], np.ones((3, 3))])
def test_nothing_to_share(values):
    found = transitivity(hand_made(values, error=0.0))
    assert np.isnan([found.generators, found.detectors, found.interaction.value, found.cyclic.value]).all()
    assert found.interaction.p == found.cyclic.p == 1.0
