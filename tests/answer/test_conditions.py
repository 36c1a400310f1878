import dataclasses
from typing import Any

import pytest

from arena.answer.answer import answers
from arena.answer.conditions import conditions
from arena.answer.estimate import estimate
from arena.answer.runs import FinishedRun, read_run
from arena.config.saved import section
from arena.core.errors import ArenaError
from tests.synthetic import synthetic_run, training_record

pytestmark = pytest.mark.slow

AUC = {"white_box": 0.6, "none": 0.8, "other_reals": 0.7, "mine": 0.7}


def runs_of(folder, seeds, accesses=("white_box", "none", "other_reals"), **settings: Any):
    sizes: dict[str, Any] = {"n_real": 300, "n_fake": 900} | settings
    return [
        read_run(
            synthetic_run(
                folder / access / str(seed),
                seed=seed,
                data_seed=seed,
                access=access,
                techniques={"cnn": AUC[access], "dct": AUC[access]},
                rounds=0,
                **sizes,
            )
        )
        for access in accesses
        for seed in seeds
    ]


@pytest.fixture(scope="module")
def six(tmp_path_factory):
    return conditions(runs_of(tmp_path_factory.mktemp("six"), (0, 1)))


def test_conditions(six):
    assert [(each.name, each.access, len(each.runs)) for each in six] == [
        ("access=white_box", "white_box", 2),
        ("access=none", "none", 2),
        ("access=other_reals", "other_reals", 2),
    ]
    assert set(six[0].controls(six)) == {"none", "other_reals"}
    assert six[1].controls(six) == {}


def test_other_configs_are_other_conditions(tmp_path):
    runs = runs_of(tmp_path, (0,), ("white_box",))
    runs += runs_of(tmp_path / "more", (0,), ("none", "white_box"), judge_seeds=4)
    found = conditions(runs)
    assert {each.name for each in found} == {
        "access=white_box, judge.seeds=3",
        "access=white_box, judge.seeds=4",
        "access=none, judge.seeds=4",
    }
    matched = {each.name: list(each.controls(found)) for each in found}
    assert matched["access=white_box, judge.seeds=3"] == []
    assert matched["access=white_box, judge.seeds=4"] == ["none"]


def test_any_access_config_may_declare_a_control(tmp_path):
    group, control = conditions(runs_of(tmp_path, (0,), ("mine", "white_box")))
    assert (group.access, control.access, control.control) == ("white_box", "mine", True)
    assert group.controls([group, control]) == {"mine": control}


def test_a_run_counts_once(tmp_path):
    runs = runs_of(tmp_path / "a", (0,), ("none",)) + runs_of(tmp_path / "b", (0,), ("none",))
    with pytest.raises(ArenaError, match="name one of the two"):
        conditions(runs)


def test_differences_and_their_sign(six):
    answer = answers(six)[0]
    for control, expected in (("none", -0.2), ("other_reals", -0.1)):
        found = answer.contrasts[control]
        assert [each.technique for each in found] == ["cnn", "dct", "strongest"]
        assert {each.pairs for each in found} == {2}
        for each in found:
            assert each.difference.value == pytest.approx(expected, abs=0.04)
            assert each.difference.low < each.difference.value < each.difference.high
        assert answer.verdict.control is not None
        assert answer.verdict.control[control] == found[-1].difference


def test_pairing_narrows(tmp_path):
    """The reals are the same and few: what they add to both AUCs cancels in the pair."""
    runs = runs_of(tmp_path, (0,), ("white_box", "none"))
    pair = answers(conditions(runs))[0].contrasts["none"][0]
    apart = [estimate([run.influences(list(run.fresh("cnn").values()))]) for run in runs]
    unpaired = 2 * 1.96 * (apart[0].error ** 2 + apart[1].error ** 2) ** 0.5
    assert pair.pairs == 1
    assert pair.difference.high - pair.difference.low < 0.9 * unpaired


def test_both_sides_of_a_contrast_have_judges_of_one_budget(tmp_path):
    """Only one run went on to a larger budget, whose judges find more. They are left out of the contrast."""
    sizes: dict[str, Any] = {"n_real": 300, "n_fake": 900, "rounds": 0, "techniques": {"cnn": 0.6, "dct": 0.9}}
    ours, theirs = (
        read_run(synthetic_run(tmp_path / access, access=access, **sizes)) for access in ("white_box", "none")
    )
    grown = dataclasses.replace(
        ours,
        records=(
            *ours.records,
            *(
                dataclasses.replace(record, technique="cnn", judge_images=2 * (record.judge_images or 0))
                for record in ours.fresh("dct").values()
            ),
        ),
    )
    before, after = (answers(conditions([run, theirs]))[0].contrasts["none"][0] for run in (ours, grown))
    assert grown.validation_auc("cnn") == ours.validation_auc("dct")  # the verdict reads the larger budget
    assert after == before
    assert before.judge_images == ours.declared.judge_images


def test_no_common_seed_no_contrast(tmp_path):
    runs = runs_of(tmp_path, (0,), ("white_box",)) + runs_of(tmp_path, (1,), ("none",))
    assert answers(conditions(runs))[0].contrasts == {"none": []}


def test_a_run_whose_generator_was_rolled_back_is_flagged_and_in_no_contrast(tmp_path):
    runs = runs_of(tmp_path, (0, 1), ("white_box", "none"))
    fault = training_record("warm-up", seed=1, fault="divergence: a loss was not finite by step 3")
    flagged = [
        dataclasses.replace(run, records=(*run.records, fault)) if (run.access, run.seed) == ("none", 1) else run
        for run in runs
    ]
    told, control = answers(conditions(flagged))
    assert {contrast.pairs for contrast in answers(conditions(runs))[0].contrasts["none"]} == {2}
    assert {contrast.pairs for contrast in told.contrasts["none"]} == {1}
    assert control.verdict.faults == ("round 0, warm-up: divergence: a loss was not finite by step 3",)
    assert told.verdict.faults == ()


def with_matched_fakes(run: FinishedRun, matched: str | None) -> FinishedRun:
    config = {**run.config, "generator": {**section(run.config, "generator"), "matched": matched}}
    return dataclasses.replace(run, config=config)


def test_runs_with_matched_fakes_are_controls_of_those_without(tmp_path):
    plain = [with_matched_fakes(run, None) for run in runs_of(tmp_path, (0,), ("white_box", "none"))]
    others = runs_of(tmp_path / "matched", (0,), ("white_box", "none"))
    mapped = [with_matched_fakes(run, kind) for run, kind in zip(others, ("both", "histogram"), strict=True)]
    found = conditions(plain + mapped)
    by_name = {each.name: each for each in found}
    assert list(by_name) == [
        "access=white_box, generator.matched=None",
        "access=none, generator.matched=None",
        "access=none, generator.matched=histogram",
        "access=white_box, generator.matched=both",
    ]
    attack, control, *baselines = found
    assert [each.control for each in found] == [False, True, True, True]
    assert set(attack.controls(found)) == {"none", "none, histogram matched", "white_box, both matched"}
    assert set(control.controls(found)) == {"none, histogram matched"}
    assert not any(each.controls(found) for each in baselines)
    (listed, *_) = answers(found)
    assert [contrast.pairs for contrast in listed.contrasts["none, histogram matched"]] == [1, 1, 1]
    assert listed.contrasts["none, histogram matched"][0].difference.value == pytest.approx(-0.2, abs=0.05)


def test_fakes_that_differ_in_more_than_the_matching_are_no_control(tmp_path):
    (run,) = runs_of(tmp_path, (0,), ("white_box",))
    (other,) = runs_of(tmp_path / "other", (0,), ("white_box",), judge_seeds=4)
    found = conditions([run, with_matched_fakes(other, "histogram")])
    assert found[0].controls(found) == {}


def test_a_control_that_knows_nothing_needs_no_probes(tmp_path):
    """A control that knows techniques, or has random critics in their place, has to use them alike."""
    chosen = {"selection": {"multipliers": [0.0, 1.0]}}

    def knowing(run: FinishedRun, knows: bool, critics: str = "techniques", /, **groups: object) -> FinishedRun:
        known = {"labels": "true", "critics": critics, "levels": ["gradients"] if knows else []}
        access = {**section(run.config, "access"), **known}
        return dataclasses.replace(run, config={**run.config, "access": access, **groups})

    white_box, none, other_reals = runs_of(tmp_path, (0,))
    alike = runs_of(tmp_path / "alike", (0,), ("other_reals",))[0]
    found = conditions([knowing(white_box, True, **chosen), knowing(none, False), knowing(other_reals, True)])
    assert set(found[0].controls(found)) == {"none"}
    found = conditions([knowing(white_box, True, **chosen), knowing(alike, True, **chosen)])
    assert set(found[0].controls(found)) == {"other_reals"}
    without = knowing(other_reals, True, "random")
    found = conditions([knowing(white_box, True, **chosen), without])
    assert set(found[0].controls(found)) == set()
    found = conditions([knowing(white_box, True, **chosen), knowing(alike, True, "random", **chosen)])
    assert set(found[0].controls(found)) == {"other_reals"}


def test_a_control_without_access_has_no_objective_of_its_own(tmp_path):
    """A control with access has to attack as the condition does."""
    live, frozen = {"objective": {"weight": 1.0}, "pool": {"sample": 4}}, {"objective": {"weight": 2.0}, "pool": {}}

    def attacking(run: FinishedRun, attack: dict[str, object], levels: list[str]) -> FinishedRun:
        access = {**section(run.config, "access"), "levels": levels}
        return dataclasses.replace(run, config={**run.config, **attack, "access": access})

    white_box, none, other_reals = runs_of(tmp_path, (0,))
    again = runs_of(tmp_path / "again", (0,), ("none",))[0]
    told = attacking(white_box, live, ["gradients"])
    found = conditions([told, attacking(none, frozen, []), attacking(other_reals, frozen, ["gradients"])])
    assert set(found[0].controls(found)) == {"none"}
    found = conditions([told, attacking(none, frozen, []), attacking(again, live, [])])
    assert found[0].controls(found)["none"].runs[0].path == again.path
