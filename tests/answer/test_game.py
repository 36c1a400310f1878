import numpy as np
import pytest

from arena.answer.equilibrium import equilibrium
from arena.answer.game import game
from arena.answer.payoff import payoff, read_payoff
from arena.records.schema import ScoreRecord
from arena.records.store import read_records
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
