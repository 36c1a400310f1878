"""Judges of each run on the fakes of the others: trained again to the bit, tested on the same reals, and resumable."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from arena.answer.answer import read_answer
from arena.answer.runs import read_run
from arena.core.errors import ArenaError
from arena.core.progress import Progress
from arena.race.cross import cross_runs, crossable, judge_others
from arena.race.loop import carry_out
from arena.records.schema import PhaseRecord, ScoreRecord
from arena.records.store import RecordBook, read_scores, write_scores
from tests.building import command, tiny_arena
from tests.synthetic import synthetic_run

SMALL = ("bank.train=64", "bank.validation=32", "bank.test=200", "bank.cell=64", "judge.multiples=[]")
QUIET = Console(quiet=True)
main = command("cross")


def of_regime(path, regime: str) -> list[ScoreRecord]:
    return [record for record in read_run(path).of_kind(ScoreRecord) if record.regime == regime]


@pytest.fixture(scope="module")
def races(tmp_path_factory):
    """Two tiny races of one condition and one data seed, whose generators were warmed up and not trained further."""
    folder = tmp_path_factory.mktemp("crossed")
    paths = []
    for seed in (0, 1):
        race = tiny_arena(folder / str(seed), "race.rounds=0", f"seed={seed}", *SMALL)
        carry_out(race, QUIET)
        paths.append(race.run)
    return paths


@pytest.mark.slow
def test_judges_of_each_run_test_the_fakes_of_the_other(races):
    """``cross_runs`` refuses judges whose own scores differ from the recorded ones by a bit, so none does."""
    answer = cross_runs(races, QUIET)
    assert set(answer.cross) == set(answer.runs[0].declared.techniques)
    for path, judges in zip(races, reversed(races), strict=True):
        run, other = read_run(path), read_run(judges)
        tests, own = of_regime(path, "transferred"), of_regime(path, "fresh")
        assert len(tests) == len(own)
        assert {record.judge_run for record in tests} == {other.seed}
        recorded = {(record.technique, record.judge_seed): record for record in of_regime(judges, "fresh")}
        for record in tests:
            theirs = recorded[record.technique, record.judge_seed]
            assert record.validation_auc == theirs.validation_auc
            here, there = read_scores(path, record.scores), read_scores(judges, theirs.scores)
            # the same reals in the same folds, with the same scores to the bit; the fakes are other images
            assert np.array_equal(here.score[here.label == 0], there.score[there.label == 0])
            assert np.array_equal(here.fold, there.fold)
            assert not np.array_equal(here.score[here.label == 1], there.score[there.label == 1])
        assert json.loads((path / "verdict.json").read_text())["tiers"]["transferred"]["not_attacked"]["answer"]
        assert read_answer(path).tiers.transferred.not_attacked.answer
        assert run.of_kind(PhaseRecord)[-1].player == f"judges of seed {other.seed}"
    before = [(path / "records.jsonl").read_bytes() for path in races]
    cross_runs(races, QUIET)  # nothing is left to do
    assert [(path / "records.jsonl").read_bytes() for path in races] == before


@pytest.mark.slow
def test_judges_that_do_not_come_out_as_recorded_are_refused(races):
    run, other = map(read_run, races)
    record = next(iter(run.fresh("forest").values()))
    scores = read_scores(run.path, record.scores)
    kept = (run.path / record.scores.file).read_bytes()
    altered = write_scores(run.path, record.scores.file.removeprefix("scores/").removesuffix(".npz"),
                           scores._replace(score=np.nextafter(scores.score, np.float32(9))))  # fmt: skip
    text = (run.path / "records.jsonl").read_bytes()
    book = RecordBook(run.path)
    number, phase = next((number, phase) for number, phase in enumerate(book.phases) if record in phase)
    later = [closing.key for *_, closing in book.phases[number + 1 :] if isinstance(closing, PhaseRecord)]
    book.append([replace(record, scores=altered) if each == record else each for each in phase], later)
    try:
        with pytest.raises(ArenaError, match="judges of forest, trained again, do not give the recorded scores"):
            judge_others(read_run(run.path), [other], Progress())
    finally:
        (run.path / record.scores.file).write_bytes(kept)
        (run.path / "records.jsonl").write_bytes(text)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    few: dict[str, Any] = {"rounds": 0, "techniques": {"cnn": 0.5}, "n_real": 60, "n_fake": 60}
    settings: dict[str, dict[str, Any]] = {
        "one": {}, "two": {"seed": 1}, "other_split": {"seed": 1, "data_seed": 1}, "control": {"access": "none"},
        "open": {"seed": 2, "rounds": 1, "finished": False},
    }  # fmt: skip
    return {name: synthetic_run(folder / name, **(few | given)) for name, given in settings.items()}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["one"], "expected two runs or more"),
        (["one", "other_split"], "data.seed=1, but"),
        (["one", "control"], "access.name=none, but"),
        (["one", "open"], "not finished"),
    ],
)
def test_runs_that_cannot_be_crossed_are_refused_in_one_line(synthetic, capsys, names, said):
    assert main([str(synthetic[name]) for name in names]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert said in line


def test_runs_come_in_order_of_their_seeds(synthetic):
    assert [run.seed for run in crossable([synthetic["two"], synthetic["one"]])] == [0, 1]


@pytest.mark.slow
def test_fakes_from_one_pool_are_refused(run):
    """Judges of one oracle may have learned from the real images that test another's."""
    race = tiny_arena(run, "race.rounds=0", "access=none", "battery.stack=null", generator="oracle")
    carry_out(race, QUIET)
    finished = read_run(run)
    with pytest.raises(ArenaError, match="expected a generator that forges without end"):
        judge_others(finished, [finished], Progress())
