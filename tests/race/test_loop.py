import io
import pkgutil
from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from arena.answer.answer import read_answer
from arena.answer.series import techniques
from arena.core.errors import ArenaError
from arena.race import phases
from arena.race.checkpoints import load_bank
from arena.race.loop import algorithm, carry_out, is_finished, run_race
from arena.race.race import Race
from arena.records.schema import PhaseRecord, QualityRecord, ScoreRecord, TechniqueRecord
from arena.records.store import read_records, read_scores
from tests.building import tiny_arena


def test_the_race_is_the_algorithm_box(finished: Race):
    names = [(phase.__name__, round_index) for phase, round_index, _ in algorithm(finished)]
    order = list(dict.fromkeys(names))
    a_round = ["forge", "confront", "retrain", "judge", "margin", "measure", "respond"]
    expected = [("warm_up", 0), ("calibrate", 0)]
    for r in range(3):
        left_out = {0: {"confront", "margin"}, 1: {"margin"}, 2: {"respond"}}[r]
        expected += [(name, r) for name in a_round if name not in left_out]
    assert order == expected
    files = {f"{phases.__name__}.{module.name}" for module in pkgutil.iter_modules(phases.__path__)}
    assert {phase.__module__ for phase, _, _ in algorithm(finished)} == files


def test_every_phase_closes_its_records_once(finished: Race):
    closed = [
        (record.phase, record.round, record.player)
        for record in read_records(finished.run)
        if isinstance(record, PhaseRecord)
    ]
    assert closed == [(phase.__name__, round_index, player) for phase, round_index, player in algorithm(finished)]


def test_each_regime_is_recorded_where_it_belongs(finished: Race):
    scores = [record for record in read_records(finished.run) if isinstance(record, ScoreRecord)]
    cells = Counter((r.technique, r.regime, r.generator_round, r.detector_round) for r in scores)
    for technique in finished.techniques:
        for g in range(3):
            assert cells[technique, "fresh", g, g] == finished.judge.seeds
            for d in range(3):
                assert cells[technique, "frozen" if d < g else "retrained", g, d] == 1
    for record in scores:
        assert record.round == max(record.generator_round, record.detector_round)
        assert record.access == ("gradients" if record.technique in ("cnn", "dct", "spectrum") else "none")


def test_scores_are_kept_per_image(finished: Race):
    judged = set(finished.judge_reals.ids.tolist())
    for record in read_records(finished.run):
        if isinstance(record, ScoreRecord):
            scores = read_scores(finished.run, record.scores)
            assert scores.score.dtype == np.float32
            assert ((scores.label == 0).sum(), (scores.label == 1).sum()) == (record.n_real, record.n_fake)
            assert set(scores.image[scores.label == 0].tolist()) <= judged
            if record.regime == "fresh":
                assert set(scores.image[scores.label == 0].tolist()) == judged


def test_every_round_costs_the_same(finished: Race):
    """Cells off the diagonal have a fixed size."""
    for record in read_records(finished.run):
        if isinstance(record, ScoreRecord) and record.regime != "fresh":
            older = record.detector_round not in (record.generator_round, record.generator_round - 1)
            assert record.n_fake == (finished.bank.cell if older else finished.bank.test)


@pytest.mark.slow
def test_a_finished_race_is_answered_beside_its_records_and_not_run_again(finished: Race):
    before = {path: path.stat().st_mtime_ns for path in sorted(finished.run.rglob("*")) if "checkpoints" in path.parts}
    records = (finished.run / "records.jsonl").read_bytes()
    verdict = run_race(finished, Console(quiet=True)).verdict
    assert (finished.run / "records.jsonl").read_bytes() == records
    assert before == {path: path.stat().st_mtime_ns for path in before}
    assert verdict.round == 2
    assert set(verdict.techniques) == set(finished.techniques)
    assert "undetectable" not in verdict.sentence
    assert {"report.html", "verdict.json"} <= {path.name for path in finished.run.iterdir()}
    assert {path.suffix for path in (finished.run / "figures").iterdir()} == {".png", ".pdf", ".csv", ".tex"}


@pytest.mark.slow
def test_conditions_branch_from_one_warm_up(tmp_path):
    """All conditions have the same generator at round 0, and only the first race trains it."""
    banks, races = [], []
    few = ("battery.stack=null", "~battery.members.cnn", "~battery.members.forest")
    for access in ("white_box", "none", "other_reals"):
        race = tiny_arena(tmp_path / access, f"access={access}", "race.rounds=1", *few)
        carry_out(race, Console(quiet=True))
        banks.append([load_bank(race, r) for r in (0, 1)])
        races.append(race)
    for one, other in combinations(banks, 2):
        assert (one[0].test == other[0].test).all()
        assert (one[1].test != other[1].test).any()
    for race in races:  # the same budget in images, gradients or not
        spent = [r.images for r in read_records(race.run) if isinstance(r, PhaseRecord) and r.phase == "respond"]
        assert spent == [race.schedule.response_images]
    assert len(list((tmp_path / "cache" / "warm_up").glob("*/done"))) == 1


@pytest.mark.slow
def test_a_race_without_responses_is_measured_at_round_0(run):
    race = tiny_arena(run, "race.rounds=0", "access=none", generator="oracle")
    carry_out(race, Console(quiet=True))
    assert [record.round for record in read_records(run) if isinstance(record, QualityRecord)] == [0]


@pytest.mark.slow
@pytest.mark.parametrize("generator", ["style", "dcgan"])
def test_the_gans_own_discriminator_sees_evidence_of_another_size(run: Path, generator: str):
    race = tiny_arena(run, "evidence.resize=16", "race.rounds=1", generator=generator)
    carry_out(race, Console(quiet=True))
    assert is_finished(race)
    assert load_bank(race, 1).test.shape[-1] == 8


@pytest.mark.slow
def test_a_technique_that_does_not_apply_is_left_out_listed_and_recorded(run: Path):
    """It is listed with its reason before the race, and is not in the verdict."""
    extra = ("+detector@battery.members.decay=decay", "+detector@battery.members.colour=colour")
    race = tiny_arena(run, "race.rounds=0", "access=none", *extra, generator="oracle")
    assert race.left_out == {"decay": "needs 16 pixels a side", "colour": "needs three channels"}
    console = Console(record=True, quiet=False, file=io.StringIO(), width=200)
    carry_out(race, console)
    output = console.export_text()
    assert output.index("left out: decay needs 16 pixels a side") < output.index("[1/")
    records = {record.technique: record for record in read_records(run) if isinstance(record, TechniqueRecord)}
    assert [*records] == ["cnn", "dct", "spectrum", "forest", "decay", "colour"]
    assert records["decay"].reason == "needs 16 pixels a side"
    assert records["cnn"].reason == ""
    assert records["cnn"].parameters == sum(p.numel() for p in race.examples_of["cnn"].parameters())
    assert set(read_answer(run).verdict.techniques) == {"cnn", "dct", "spectrum", "forest", "stack"}


@pytest.mark.slow
def test_gan_aware_detectors_hold_the_gan_of_the_round_before(run: Path):
    members = ("cnn", "spectrum", "forest")
    gan_aware = ("+detector@battery.members.lgrad=lgrad", "+detector@battery.members.inversion=inversion")
    race = tiny_arena(run, "race.rounds=1", *gan_aware, *(f"~battery.members.{name}" for name in members))
    carry_out(race, Console(quiet=True))
    assert is_finished(race)
    state = load_file(race.layout.detector(1, "inversion"))
    before, after = (load_file(race.layout.generator(r)) for r in (0, 1))
    held = {
        name.removeprefix("generator.network."): value for name, value in state.items() if name.startswith("generator.")
    }
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(before[name], held[name]) for name in before if name in held)
    assert set(held) & set(before)


@pytest.mark.slow
def test_a_bag_judges_several_images_at_once(run: Path):
    race = tiny_arena(run, "+detector@battery.bag=bag", "battery.bag.n=4", "race.rounds=1")
    carry_out(race, Console(quiet=True))
    assert race.techniques[-2:] == ["stack", "bag"]
    assert {"stack", "bag"} <= set(read_answer(run).verdict.techniques)
    scores = [record for record in read_records(run) if isinstance(record, ScoreRecord) and record.regime == "fresh"]
    sizes = {record.technique: record.n_real for record in scores if record.technique in ("stack", "bag")}
    assert sizes["stack"] / 4 - race.judge.folds <= sizes["bag"] <= sizes["stack"] / 4
    assert techniques(read_records(run))[-1] == "bag"


def test_a_bag_larger_than_half_a_fold_is_refused(run: Path):
    with pytest.raises(
        ArenaError,
        match=r"battery.bag.n=40: expected at most half of the images of a fold, its validation or a cell, \d+$",
    ):
        tiny_arena(run, "+detector@battery.bag=bag", "battery.bag.n=40")
