"""What each side spent, from the records of phases."""

import dataclasses
from pathlib import Path

import pytest

from arena.answer.answer import answers
from arena.answer.conditions import conditions
from arena.answer.runs import FinishedRun, read_run
from arena.answer.spending import compute_in_words, spending
from arena.records.schema import PhaseRecord, Spent
from tests.synthetic import synthetic_run


def run_of(folder: Path, access: str, per_response: int, schedule: bool = True) -> FinishedRun:
    """A run of two responses, each of which took so many multiply-accumulates."""
    written = synthetic_run(
        folder / access, access=access, techniques={"cnn": 0.7}, rounds=2, n_real=60, n_fake=60, folds=2
    )
    run = read_run(written)
    records = [
        dataclasses.replace(
            record, images=640, seconds=2.0, generator_updates=10, detector_updates=5, multiply_accumulates=per_response
        )
        if isinstance(record, PhaseRecord) and record.phase == "respond"
        else record
        for record in run.records
    ]
    config = {**run.config, "schedule": {"response_images": 1000}} if schedule else run.config
    return dataclasses.replace(run, records=tuple(records), config=config)


def test_costs_add_up_by_side(tmp_path):
    (responses,) = spending(run_of(tmp_path, "white_box", 300))
    assert responses.side == "generator, responses"
    assert (responses.images, responses.seconds) == (1280, 4.0)
    assert responses.spent == Spent(generator_updates=20, detector_updates=10, multiply_accumulates=600)


def test_the_control_at_equal_compute_gets_the_budget_that_the_ratio_says(tmp_path):
    ours, none = run_of(tmp_path, "white_box", 300), run_of(tmp_path, "none", 120)
    said = compute_in_words([ours], [none], "none")
    assert said is not None
    assert "2.50 times the multiply-accumulates of access=none" in said
    assert "schedule.response_images=2500" in said


@pytest.mark.parametrize(("ours", "theirs"), [(0, 120), (300, 0)])
def test_without_costs_on_record_nothing_is_said(tmp_path, ours, theirs):
    runs = run_of(tmp_path, "white_box", ours), run_of(tmp_path, "none", theirs)
    assert compute_in_words(runs[:1], runs[1:], "none") is None


@pytest.mark.slow
def test_an_answer_says_it_beside_its_control(tmp_path):
    runs = [run_of(tmp_path, "white_box", 300), run_of(tmp_path, "none", 100)]
    ours, control = answers(conditions(runs))
    assert ours.compute == ours.as_json()["compute"]
    assert "3.00 times" in (ours.compute or "")
    assert control.compute is None
