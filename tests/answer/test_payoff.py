import numpy as np
import pytest

from arena.answer.payoff import from_influences, payoff, read_payoff
from arena.metrics.auc import auc, combine, influence
from arena.records.schema import ScoreRecord, Scores
from arena.records.store import read_records, read_scores
from tests.synthetic import synthetic_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    run = tmp_path_factory.mktemp("game") / "run"
    return synthetic_run(run, techniques={"cnn": 0.6, "dct": 0.7}, rounds=2, n_real=60, n_fake=80, frozen=0.1)


@pytest.fixture(scope="module")
def records(run):
    return read_records(run)


def cells_of(run, records, technique):
    return {
        (r.generator_round, r.detector_round): influence(read_scores(run, r.scores))
        for r in records
        if isinstance(r, ScoreRecord) and r.technique == technique and r.regime != "fresh"
    }


def test_frozen_below_retrained_above_the_diagonal(records):
    matrix = payoff(records, "cnn")
    assert matrix.shape == (3, 3)
    assert (matrix[np.tril_indices(3, -1)] < 0.3).all()
    assert (matrix[np.triu_indices(3)] > 0.6).all()
    entries = [r for r in records if isinstance(r, ScoreRecord) and (r.technique, r.regime) == ("cnn", "frozen")]
    for record in entries:
        assert matrix[record.generator_round, record.detector_round] == record.auc


def test_what_was_not_played_is_nan(records):
    without = [
        r for r in records if not (isinstance(r, ScoreRecord) and (r.generator_round, r.detector_round) == (0, 2))
    ]
    matrix = payoff(without, "dct")
    assert np.isnan(matrix[0, 2])
    assert np.isnan(matrix).sum() == 1
    assert payoff(records, "unknown").shape == (0, 0)


def test_a_cell_has_its_auc_and_delongs_error(run, records):
    found = read_payoff(run, records, "cnn")
    assert found is not None
    np.testing.assert_array_equal(found.values, payoff(records, "cnn"))
    for (g, d), its in cells_of(run, records, "cnn").items():
        alone = np.zeros((3, 3))
        alone[g, d] = 1.0
        assert found.variance(alone) == pytest.approx(its.variance, rel=1e-12)
        measured = found.linear(alone, low=0.0)
        assert measured.value == its.value
        assert measured.high == pytest.approx(min(1.0, its.value + 1.959964 * its.variance**0.5), abs=1e-6)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param((1, 1), (1, 0), id="a row shares reals and fakes"),
        pytest.param((0, 0), (1, 1), id="a diagonal shares reals and z"),
        pytest.param((0, 0), (0, 2), id="a part of both"),
    ],
)
def test_a_difference_of_cells_is_paired_by_image(run, records, one, other):
    found, cells = read_payoff(run, records, "cnn"), cells_of(run, records, "cnn")
    assert found is not None
    weights = np.zeros((3, 3))
    weights[one], weights[other] = 1.0, -1.0
    pair = combine([cells[one], cells[other]], [1.0, -1.0])
    assert found.variance(weights) == pytest.approx(pair.variance, rel=1e-12)
    assert found.linear(weights).value == pytest.approx(pair.value)


def test_noise_has_the_covariance_of_the_cells_and_their_floors(run, records):
    found = read_payoff(run, records, "dct")
    assert found is not None
    drawn = np.cov(found.noise.reshape(len(found.noise), -1).T)
    expected = found.covariance + np.diag(found.floor.ravel())
    error = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(drawn / np.outer(error, error), expected / np.outer(error, error), atol=0.12)
    again = read_payoff(run, records, "dct")
    assert again is not None
    np.testing.assert_array_equal(found.noise, again.noise)


def test_a_game_without_a_single_error_still_has_its_floor():
    label = np.repeat([0, 1], 50).astype(np.uint8)
    ids = np.tile(np.arange(50), 2)
    perfect = Scores(label.astype(np.float32), label, ids, np.zeros(100, np.uint8), ids)
    found = from_influences([influence(perfect, bank=g) for g in (0, 0, 1, 1)])
    assert not found.covariance.any()
    assert (found.floor > 0).all()
    assert found.noise.std(axis=0) == pytest.approx(np.sqrt(found.floor), rel=0.1)


def test_the_error_of_a_difference_is_that_of_repeated_tests():
    # Truth by simulation: two detectors, images new each time, the second tested on half of them.
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], 100).astype(np.uint8)
    ids = np.tile(np.arange(100), 2)
    half = ids < 50
    differences, variances, independent = [], [], []
    for _ in range(300):
        image = rng.normal(size=200)
        pair = []
        for separation, which in ((1.2, half | ~half), (0.6, half)):
            score = (separation * label + image + 0.5 * rng.normal(size=200)).astype(np.float32)
            pair.append(Scores(score, label, ids, np.zeros(200, np.uint8), ids).take(which))
        differences.append(auc(pair[0].score, pair[0].label) - auc(pair[1].score, pair[1].label))
        one, other = (influence(scores) for scores in pair)
        found = from_influences([one, other, one, other])
        weights = np.array([[1.0, -1.0], [0.0, 0.0]])
        variances.append(found.variance(weights))
        independent.append(found.variance(np.diag([1.0, 0.0])) + found.variance(np.fliplr(np.diag([1.0, 0.0]))))
    assert np.mean(variances) == pytest.approx(np.var(differences), rel=0.2)
    assert np.mean(independent) > 1.5 * np.var(differences)


def test_an_interrupted_round_is_left_out(run, records):
    unfinished = [
        r
        for r in records
        if not (isinstance(r, ScoreRecord) and r.generator_round <= 2 and r.detector_round == 2 and r.regime != "fresh")
    ]
    assert np.isnan(payoff(unfinished, "cnn")).all() == np.False_
    found = read_payoff(run, unfinished, "cnn")
    assert found is not None
    np.testing.assert_array_equal(found.values, payoff(records, "cnn")[:2, :2])
    assert read_payoff(run, [], "cnn") is None
    assert read_payoff(run, records, "unknown") is None
