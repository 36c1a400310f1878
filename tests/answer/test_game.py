import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.answer.equilibrium import equilibrium
from arena.answer.game import circular_triads, game, hodge, memory, pairs, rank_reversals, transitivity, two_way
from arena.answer.payoff import Payoff, payoff, read_payoff
from arena.records.schema import ScoreRecord
from arena.records.store import read_records
from tests.answer.games import hand_made
from tests.synthetic import synthetic_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("game") / "run"
    return synthetic_run(
        run, techniques={"cnn": 0.91, "dct": 0.91}, start=0.91, rounds=3, n_real=80, n_fake=160, frozen=0.1
    )


def test_of_a_race_that_goes_on_and_on(run):
    records = read_records(run)
    games = game(run, records)
    assert list(games) == ["cnn", "dct"]
    for technique, its in games.items():
        np.testing.assert_array_equal(its.auc, payoff(records, technique))
        assert its.value.value == pytest.approx(equilibrium(its.auc).value)
        assert its.value.low < its.value.value < its.value.high
        # A frozen detector is at 0.1, a retrained one at 0.9: the last pair holds.
        assert its.last_pair.gap.low == 0.0
        assert its.memory is not None
        assert abs(its.memory.forgetting.value) < 0.1
        assert its.memory.generator_memory.high < 0.3
        assert its.reversals.clear == its.circles.clear == 0


def test_the_error_of_the_value_is_that_of_a_bootstrap_that_solves_every_draw(run):
    found = read_payoff(run, read_records(run), "cnn")
    assert found is not None
    its = game(run, read_records(run))["cnn"]
    drawn = np.std([equilibrium(draw).value for draw in found.values + found.noise[:150]])
    assert (its.value.high - its.value.low) / 2 / 1.96 == pytest.approx(drawn, rel=0.3)


def test_a_race_without_a_response_and_one_cut_short(tmp_path, run):
    single = synthetic_run(tmp_path / "single", techniques={"cnn": 0.6}, rounds=0, n_real=20, n_fake=20)
    (only,) = game(single, read_records(single)).values()
    assert only.auc.shape == (1, 1)
    assert only.value.value == only.auc[0, 0]
    assert only.last_pair.gap.value == 0.0
    assert only.memory is None
    records = [
        r
        for r in read_records(run)
        if not (isinstance(r, ScoreRecord) and (r.technique, r.regime, r.detector_round) == ("dct", "retrained", 3))
    ]
    games = game(run, records)
    assert (len(games["cnn"].auc), len(games["dct"].auc)) == (4, 3)
    fresh = [r for r in records if isinstance(r, ScoreRecord) and r.regime == "fresh"]
    assert game(run, fresh) == {}


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
    for ranked in (np.repeat(ramp[:, None], 5, axis=1), np.repeat(ramp[None], 5, axis=0)):
        assert transitivity(hand_made(0.3 + ranked)).interaction.value == pytest.approx(0.0)
    specialised = transitivity(hand_made(0.5 + 0.4 * np.eye(5)))
    assert specialised.interaction.value == pytest.approx(1.0)
    assert transitivity(hand_made(0.5 + 0.4 * ROCK_PAPER_SCISSORS)).cyclic.value == pytest.approx(1.0)


def test_the_floor_is_what_noise_makes():
    rng = np.random.default_rng(0)
    ranked = 0.5 + 0.03 * np.arange(6)[:, None] + 0.02 * np.arange(6)[None]
    found = [transitivity(hand_made(ranked + rng.normal(0, 0.02, ranked.shape), 0.02)) for _ in range(150)]
    shares = np.array([its.interaction.value for its in found])
    assert shares.mean() == pytest.approx(np.mean([its.interaction.floor for its in found]), rel=0.1)


def test_the_floor_of_shared_errors_is_not_that_of_independent_ones():
    # One error common to all cells moves the mean, and puts nothing into the interaction.
    game = hand_made(0.5 + 0.1 * np.eye(4))
    common = dataclasses.replace(game, covariance=np.full((16, 16), 0.01))
    assert transitivity(common).interaction.floor == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("values", [[[0.8]], np.ones((3, 3))])
def test_nothing_to_share(values):
    found = transitivity(hand_made(values, error=0.0))
    assert np.isnan([found.interaction.value, found.cyclic.value]).all()


@pytest.mark.parametrize(
    ("values", "clear", "possible"),
    [
        pytest.param([[1.0, 0.0], [0.0, 1.0]], 1, 1, id="matching pennies"),
        pytest.param([[0.9, 0.8], [0.4, 0.3]], 0, 1, id="a ranking"),
        pytest.param([[0.9, 0.999], [0.1, 0.99]], 0, 1, id="interaction by ceiling only"),
        pytest.param(0.5 + 0.4 * np.eye(3), 3, 9, id="each detector its own"),
        pytest.param([[0.7]], 0, 0, id="one round"),
    ],
)
def test_reversals_by_hand(values, clear, possible):
    assert rank_reversals(hand_made(values)) == (clear, possible)


def test_within_error_nothing_is_reversed():
    values = [[0.72, 0.70], [0.70, 0.72]]
    assert rank_reversals(hand_made(values, error=0.001)).clear == 1
    assert rank_reversals(hand_made(values, error=0.01)).clear == 0


def test_errors_shared_by_two_generators_do_not_hide_their_difference():
    values = np.array([[0.72, 0.70], [0.70, 0.72]])
    by_detector = np.kron(np.ones((2, 2)), np.eye(2))  # cells [g, d] and [g', d] err together
    shared = Payoff(values, 0.05**2 * by_detector + 1e-8 * np.eye(4), np.zeros((2, 2)))
    assert rank_reversals(shared).clear == 1
    assert rank_reversals(dataclasses.replace(shared, floor=np.full((2, 2), 0.05**2))).clear == 0


def test_noise_reverses_nothing_in_nineteen_of_twenty_games():
    rng = np.random.default_rng(0)
    games = [hand_made(rng.normal(0.7, 0.02, (6, 6)), 0.02) for _ in range(200)]
    assert np.mean([rank_reversals(game).clear > 0 for game in games]) <= 0.05
    assert np.mean([circular_triads(game).clear > 0 for game in games]) <= 0.05


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


PAYOFFS = np.array([[0.90, 0.80, 0.60], [0.30, 0.95, 0.70], [0.50, 0.40, 0.85]])


def test_memory_by_hand():
    first, second = memory(hand_made(PAYOFFS[:2, :2], error=0.01)), memory(hand_made(PAYOFFS, error=0.01))
    assert first is not None
    assert second is not None
    assert first.forgetting.value == pytest.approx(0.90 - 0.80)
    assert first.generator_memory.value == pytest.approx(0.30)
    assert second.forgetting.value == pytest.approx(((0.90 - 0.60) + (0.95 - 0.70)) / 2)
    assert second.generator_memory.value == pytest.approx((0.50 + 0.40) / 2)
    # Errors of independent cells add up; (P00 - P02 + P11 - P12) / 2 has four cells of weight 1/2.
    reach = 1.959964 * 0.01
    assert second.forgetting.high - second.forgetting.value == pytest.approx(reach, rel=1e-5)
    assert second.generator_memory.value - second.generator_memory.low == pytest.approx(reach / np.sqrt(2), rel=1e-5)


def test_intervals_of_memory_end_where_an_auc_ends():
    only = memory(hand_made([[1.0, 1.0], [0.0, 1.0]], error=0.1))
    assert only is not None
    assert only.generator_memory.low == 0.0
    assert only.forgetting.low < 0.0 < only.forgetting.high
