"""The budget of the judges grows at the last round while they may gain from it, and no further."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from arena.answer.answer import answer_of
from arena.answer.runs import read_run
from arena.race.case import fakes_of_judges
from arena.race.checkpoints import load_bank
from arena.race.judging import fitness_record, judge_case, score_record
from arena.race.loop import carry_out
from arena.race.phases.judges import budgets, case_of, is_called_for
from arena.race.race import Race
from arena.records.schema import Record, ScoreRecord, Scores
from arena.records.store import read_records
from tests.building import arena_in

RACE = ("experiment=smoke", "logger=none", "access=none", "race.rounds=0", "judge.reals=null", "judge.multiples=[2,3]")
BANK = ("bank.train=300", "bank.validation=100", "bank.test=300", "bank.cell=100")
NOTHING, NOISE, VAGUE, MUCH = (0.001, 0.0, 0.002), (0.02, -0.02, 0.0), (0.06, -0.06, 0.01), (0.05, 0.045, 0.055)
"""Gains of three judges where 0.025 would do: small, small to six judges, small to dozens of judges, and large."""


def judged(run: Path, *overrides: str) -> set[int | None]:
    """Budgets of the fresh judges on record."""
    race = arena_in(run, *RACE, *BANK, *overrides)
    assert list(budgets(race, 0)) == [f"{n} images{half}" for n in (320, 640, 960) for half in ("", ", half")]
    carry_out(race, Console(quiet=True))
    scored = [record for record in read_records(run) if isinstance(record, ScoreRecord)]
    return {record.judge_images for record in scored if record.regime == "fresh"}


@pytest.mark.slow
def test_judges_that_may_gain_get_more_and_the_verdict_reads_the_most(run: Path):
    assert judged(run, "generator=oracle") == {320, 640, 960}
    found = read_run(run)
    assert {record.judge_images for record in found.fresh("cnn").values()} == {960}


@pytest.mark.slow
def test_judges_that_are_shown_to_gain_nothing_get_no_more(run: Path):
    """A forest that sees a checkerboard of half the range at once."""
    forest_alone = [f"~detector@battery.members.{name}" for name in ("cnn", "dct", "spectrum")]
    planted = ("generator=planted", "generator.kind=checkerboard", "generator.amplitude=8")
    assert judged(run, "battery=small", *forest_alone, "~detector@battery.stack", *planted) == {320}
    assert answer_of([read_run(run)]).verdict.answer == "caught"


def judged_with_gains(race: Race, gains: Mapping[str, Sequence[float]], images: int) -> list[Record]:
    """Records of judges, each with as large a gain from twice the data as given.

    Reals and fakes are normal and their scores the same in all judges, but for the distance of the two classes.
    """
    n = 1000
    label = np.repeat(np.array([0, 1], np.uint8), n)
    noise = np.random.default_rng(0).permuted(np.tile(np.linspace(-2, 2, n), (2, 1)), axis=1).ravel()

    def scores(gain: float) -> Scores:
        ids = np.tile(np.arange(n), 2)
        logits = (noise + 3.45 * gain * label).astype(np.float32)  # the AUC of two such classes grows by the gain
        return Scores(logits, label, ids, np.zeros(2 * n, np.uint8), ids)

    records = list[Record]()
    for technique, each in gains.items():
        for judge, gain in enumerate(each):
            scored, rounds = scores(gain), {"generator_round": 0, "detector_round": 0}
            records += [
                score_record(race, scored, technique, "fresh", **rounds, judge_seed=judge, judge_images=images),
                fitness_record(
                    race, scores(0), technique, "half", round_index=0, judge_seed=judge, judge_images=images, share=0.5
                ),
            ]
    return records


@pytest.mark.parametrize(
    ("gains", "next_step"),
    [
        ({"cnn": NOTHING, "dct": NOTHING}, None),
        ({"cnn": NOISE, "dct": NOTHING}, "320 images, 3 more judges"),
        ({"cnn": NOISE, "dct": MUCH}, "640 images"),
        ({"cnn": MUCH, "dct": NOTHING}, "640 images"),
    ],
)
def test_few_judges_get_company_and_judges_that_gain_get_images(run: Path, gains, next_step):
    race = arena_in(run, *RACE, "judge.more_seeds=3")
    assert race.margin / 2 == 0.025
    tried = budgets(race, 0)
    first, steps = ["320 images", "320 images, half"], list(tried)
    assert steps[:5] == [*first, "320 images, 3 more judges", "320 images, 3 more judges, half", "640 images"]
    records = judged_with_gains(race, gains, images=320)
    called = [player for player in tried if is_called_for(race, records, tried, player)]
    assert called[:2] == first
    assert called[2:4] == ([] if next_step is None else [next_step, f"{next_step}, half"])


def test_more_judges_that_show_nothing_end_it(run: Path):
    race = arena_in(run, *RACE, "judge.more_seeds=3")
    tried = budgets(race, 0)
    records = judged_with_gains(race, {"cnn": (*NOISE, *NOTHING)}, images=320)
    assert not is_called_for(race, records, tried, "640 images")


@pytest.mark.parametrize(
    ("gains", "added"), [({"cnn": VAGUE, "dct": NOTHING}, True), ({"cnn": VAGUE, "dct": MUCH}, False)]
)
def test_the_largest_budget_adds_judges_wherever_the_gains_may_be_small(run: Path, gains, added):
    """More judges would hardly show that this one's gain is small, but more images are not to be had."""
    race = arena_in(run, *RACE, "judge.more_seeds=3")
    tried = budgets(race, 0)
    assert list(tried)[-2] == "960 images, 3 more judges"
    by_budget = {images: judged_with_gains(race, gains, images=images) for images in (640, 960)}
    assert not is_called_for(race, by_budget[640], tried, "640 images, 3 more judges")
    assert is_called_for(race, by_budget[960], tried, "960 images, 3 more judges") == added


def test_earlier_rounds_have_one_budget(run: Path):
    race = arena_in(run, *RACE, "race.rounds=2", "judge.more_seeds=3")
    assert [list(budgets(race, index)) for index in (0, 1)] == [["320 images"]] * 2


def test_judges_added_later_are_those_that_would_have_judged_at_once(finished: Race):
    """Their fakes, folds and streams are their own, whichever judges learn beside them."""
    cases = {judges: case_of(finished, 1, 1, range(*judges)) for judges in ((0, 3), (2, 3))}
    together, alone = (
        judge_case(finished, case, ["cnn", "forest"], 1, range(*judges), images=64)[0][-1]
        for judges, case in cases.items()
    )
    for technique, judgement in together.items():
        for one, other in zip(judgement, alone[technique], strict=True):
            for field in Scores._fields:
                np.testing.assert_array_equal(getattr(one, field), getattr(other, field))
    (late,) = fakes_of_judges(finished, load_bank(finished, 1), 1, [2])
    assert late.train.equal(fakes_of_judges(finished, load_bank(finished, 1), 1, range(3))[2].train)
