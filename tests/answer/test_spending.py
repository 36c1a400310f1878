"""What each side spent, from the records of phases."""

import dataclasses
from pathlib import Path

import pytest

from arena.answer.answer import answers
from arena.answer.conditions import conditions
from arena.answer.runs import FinishedRun, read_run
from arena.answer.spending import compute_in_words, spending
from arena.config.saved import section
from arena.records.schema import PhaseRecord, Spent
from tests.synthetic import synthetic_run


def run_of(
    folder: Path, access: str, per_response: int, schedule: bool = True, images: int = 1000, resampling: int = 0
) -> FinishedRun:
    """A run of two responses, each of which took so many multiply-accumulates, and so did what resampled each round."""
    written = synthetic_run(
        folder / f"{access}-{images}", access=access, techniques={"cnn": 0.7}, rounds=2, n_real=60, n_fake=60, folds=2
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
    forged = next(record for record in records if isinstance(record, PhaseRecord))
    records += [
        dataclasses.replace(forged, phase="forge", round=r, images=100, seconds=1.0, multiply_accumulates=resampling)
        for r in (0, 1, 2)
        if resampling
    ]
    # Those without access have no levels, as in conf/access.
    access_of = {**section(run.config, "access"), "levels": [] if access == "none" else ["gradients"]}
    config = {**run.config, "access": access_of} | ({"schedule": {"response_images": images}} if schedule else {})
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


def test_what_resamples_the_fakes_of_a_response_is_spent_with_it(tmp_path):
    """The fakes of round 0 are none of a response."""
    ours, none = run_of(tmp_path, "white_box", 300, resampling=60), run_of(tmp_path, "none", 120)
    responses, resampling = spending(ours)
    assert (responses.spent.multiply_accumulates, resampling.spent.multiply_accumulates) == (600, 180)
    assert resampling.side == "generator, resampling"
    assert "3.00 times" in (compute_in_words([ours], [none], "none") or "")


@pytest.mark.parametrize(
    ("of_control", "expected"), [(300, {"none at equal compute"}), (325, {"none at equal compute"}), (200, set())]
)
def test_a_run_without_access_and_with_equal_compute_is_a_control(tmp_path, of_control, expected):
    ours, longer = run_of(tmp_path, "white_box", 300), run_of(tmp_path, "none", of_control, images=2500)
    found = answers(conditions([ours, longer]))
    told = next(each for each in found if each.condition.access == "white_box")
    assert set(told.controls) == expected
    assert set(told.contrasts) == expected
    assert all(contrast.pairs == 1 for listed in told.contrasts.values() for contrast in listed)


def test_a_control_at_equal_compute_has_a_seed_in_common(tmp_path):
    ours, longer = run_of(tmp_path, "white_box", 300), run_of(tmp_path, "none", 300, images=2500)
    told, _ = answers(
        conditions([ours, dataclasses.replace(longer, declared=dataclasses.replace(longer.declared, data_seed=7))])
    )
    assert told.controls == {}


def test_the_control_at_equal_compute_is_the_nearest_and_stands_beside_that_at_equal_images(tmp_path):
    ours, none = run_of(tmp_path, "white_box", 300), run_of(tmp_path, "none", 120)
    others = [
        run_of(tmp_path, "none", per_response, images=images) for images, per_response in ((2400, 285), (2500, 305))
    ]
    told, *controls = answers(conditions([ours, none, *others]))
    assert set(told.controls) == {"none", "none at equal compute"}
    assert told.controls["none at equal compute"].run.path == others[1].path
    assert all(not control.controls for control in controls)


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
