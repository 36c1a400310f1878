import numpy as np
import pytest

from arena.answer.game.payoff import Payoff
from arena.answer.game.structure import circular_triads, rank_reversals
from tests.answer.game.games import hand_made


@pytest.mark.parametrize(
    ("values", "found", "tried"),
    [
        pytest.param([[1.0, 0.0], [0.0, 1.0]], 1, 1, id="matching pennies"),
        pytest.param([[0.9, 0.8], [0.4, 0.3]], 0, 1, id="a ranking"),
        pytest.param([[0.9, 0.999], [0.1, 0.99]], 0, 1, id="interaction by ceiling only"),
        pytest.param(0.5 + 0.4 * np.eye(3), 3, 9, id="each detector its own"),
        pytest.param([[0.7]], 0, 0, id="one round"),
    ],
)
def test_by_hand(values, found, tried):
    assert rank_reversals(hand_made(values)) == (found, tried)


def test_within_error_nothing_is_reversed():
    values = [[0.72, 0.70], [0.70, 0.72]]
    assert rank_reversals(hand_made(values, error=0.001)).found == 1
    assert rank_reversals(hand_made(values, error=0.01)).found == 0


def test_errors_shared_by_two_generators_do_not_hide_their_difference():
    values = np.array([[0.72, 0.70], [0.70, 0.72]])
    by_detector = np.kron(np.ones((2, 2)), np.eye(2))  # cells [g, d] and [g', d] err together
    shared = Payoff("cnn", values, 0.05**2 * by_detector + 1e-8 * np.eye(4), np.zeros((2, 2)), np.full((2, 2), 100))
    assert rank_reversals(shared).found == 1
    floored = Payoff("cnn", values, shared.covariance, np.full((2, 2), 0.05**2), shared.images)
    assert rank_reversals(floored).found == 0


def test_noise_reverses_nothing_in_nineteen_of_twenty_games():
    rng = np.random.default_rng(0)
    games = [hand_made(rng.normal(0.7, 0.02, (6, 6)), 0.02) for _ in range(200)]
    assert np.mean([rank_reversals(game).found > 0 for game in games]) <= 0.05
    assert np.mean([circular_triads(game).found > 0 for game in games]) <= 0.05


def test_rounds_in_a_circle():
    circle = np.array([[0.5, 0.9, 0.1], [0.1, 0.5, 0.9], [0.9, 0.1, 0.5]])
    assert circular_triads(hand_made(circle)) == (1, 1)
    assert circular_triads(hand_made(circle.T)) == (1, 1)
    assert circular_triads(hand_made(circle, error=0.5)) == (0, 1)
    race = np.where(np.triu(np.ones((5, 5))) > 0, 0.9, 0.1)
    assert circular_triads(hand_made(race)) == (0, 10)


def test_of_five_rounds_in_a_circle_five_triads_at_most():
    # The regular tournament of five: i beats i+1 and i+2; 5 of its 10 triads are circles (Kendall & Babington Smith).
    beats = np.array([[(j - i) % 5 in (1, 2) for j in range(5)] for i in range(5)])
    assert circular_triads(hand_made(0.5 + 0.4 * beats.T - 0.4 * beats)) == (5, 10)
