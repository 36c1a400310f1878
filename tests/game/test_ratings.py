import numpy as np
import pytest
from scipy.special import expit

from arena.game.equilibrium import equilibrium
from arena.game.payoff import Payoff
from arena.game.ratings import ELO, ratings
from tests.game.games import hand_made


def rated(payoff):
    return ratings(payoff, equilibrium(payoff.values))


def test_strengths_that_made_the_payoffs_are_found():
    generators, detectors = np.array([-0.8, -0.1, 0.2, 0.7]), np.array([0.3, 0.9, 1.4, 2.0])
    payoff = hand_made(expit(detectors[None] - generators[:, None]), images=10**9)
    found = rated(payoff)
    np.testing.assert_allclose(found.generators, ELO * generators, atol=1e-3)
    np.testing.assert_allclose(found.detectors, ELO * detectors, atol=1e-3)


def test_four_hundred_points_are_ten_to_one():
    found = rated(hand_made([[10 / 11]], images=10**9))
    assert found.generators == pytest.approx([0.0])
    assert found.detectors == pytest.approx([400.0], abs=0.01)


def test_a_perfect_game_has_ratings_with_an_end():
    found = rated(hand_made(np.ones((3, 3)), images=100))
    assert np.isfinite([found.generators, found.detectors]).all()
    np.testing.assert_allclose(found.detectors, ELO * np.log(100.5 / 0.5), rtol=1e-6)


def test_errors_are_those_of_repeated_tests():
    rng = np.random.default_rng(0)
    truth = expit(np.array([0.2, 0.8, 1.2])[None] - np.array([-0.5, 0.0, 0.5])[:, None])
    found = [rated(hand_made(truth + rng.normal(0, 0.01, (3, 3)), 0.01)) for _ in range(150)]
    for name in ("generators", "detectors"):
        seen = np.std([getattr(its, name) for its in found], axis=0)
        said = np.mean([getattr(its, f"{name}_error") for its in found], axis=0)
        np.testing.assert_allclose(said, seen, rtol=0.25)


def test_errors_shared_by_all_cells_are_the_detectors_not_the_generators():
    shared = Payoff("cnn", np.full((3, 3), 0.7), np.full((9, 9), 0.01**2), np.zeros((3, 3)), np.full((3, 3), 1000))
    found = rated(shared)
    np.testing.assert_allclose(found.generators_error, 0.0, atol=1e-9)
    assert (found.detectors_error > 1.0).all()


def test_copies_move_elo_but_not_nash_averaging():
    payoffs = np.array([[0.9, 0.3, 0.5], [0.4, 0.8, 0.6], [0.6, 0.5, 0.7]])
    before = rated(hand_made(payoffs))
    copied = payoffs[:, [0, 1, 2, 0, 0]][[0, 1, 2, 2, 2]]
    after = rated(hand_made(copied))
    np.testing.assert_allclose(after.generators_nash[:3], before.generators_nash, atol=1e-6)
    np.testing.assert_allclose(after.detectors_nash[:3], before.detectors_nash, atol=1e-6)
    assert np.abs((after.detectors - after.detectors[0])[:3] - (before.detectors - before.detectors[0])).max() > 1.0


def test_nash_averaging_of_rock_paper_scissors_and_of_a_dominant_player():
    circle = rated(hand_made([[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.5]]))
    np.testing.assert_allclose(circle.generators_nash, 0.5, atol=1e-6)
    best = rated(hand_made([[0.6, 0.7], [0.8, 0.9]]))
    np.testing.assert_allclose(best.generators_nash, [0.3, 0.1])
    np.testing.assert_allclose(best.detectors_nash, [0.6, 0.7])
