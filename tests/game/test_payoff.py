import numpy as np
import pytest

from arena.game.payoff import payoff, payoffs
from arena.records import ScoreRecord, read_records
from tests.synthetic import synthetic_run


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    run = tmp_path_factory.mktemp("game") / "run"
    return read_records(
        synthetic_run(run, techniques={"cnn": 0.6, "dct": 0.7}, rounds=2, n_real=60, n_fake=80, frozen=0.1)
    )


def test_frozen_below_retrained_above_the_diagonal(records):
    matrix = payoff(records, "cnn")
    assert matrix.shape == (3, 3)
    assert (matrix[np.tril_indices(3, -1)] < 0.3).all()
    assert (matrix[np.triu_indices(3)] > 0.7).all()
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


def test_all_techniques(records):
    assert list(payoffs(records)) == ["cnn", "dct"]
    assert payoff(records, "unknown").shape == (0, 0)
