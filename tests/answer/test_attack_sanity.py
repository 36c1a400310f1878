"""Checks of attacks on runs whose attack is known to be sound or broken."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import pytest

from arena.answer.answer import answers
from arena.answer.attack_sanity import (
    WARNING,
    features_in_words,
    frozen_fall,
    frozen_in_words,
    gradients_in_words,
    knowledge_in_words,
    resampling_in_words,
)
from arena.answer.conditions import conditions
from arena.answer.runs import FinishedRun, read_run
from arena.config.saved import section
from arena.records.schema import GradientRecord, PhaseRecord, ResamplingRecord
from tests.answer.curved import resampled
from tests.synthetic import synthetic_run, training_record


def run_of(
    folder: Path,
    access: str = "white_box",
    auc: float = 0.7,
    frozen: float = 0.05,
    seed: int = 0,
    names: Sequence[str] = ("cnn", "forest"),
):
    techniques = dict.fromkeys(names, auc)
    path = synthetic_run(
        folder / f"{access}-{auc}-{seed}",
        access=access,
        techniques=techniques,
        frozen=frozen,
        seed=seed,
        data_seed=seed,
        rounds=1,
        n_real=200,
        n_fake=400,
        folds=2,
    )
    return read_run(path)


def with_gradients(run: FinishedRun, **useless: tuple[int, int]) -> FinishedRun:
    """Two responses in which 1,000 fakes each were looked at. Of the first, some had no gradient or one of no use."""
    records = [
        GradientRecord(round=r, seed=0, technique=name, fakes=1000, zero=zero * (r == 0), not_finite=bad * (r == 0))
        for r in (0, 1)
        for name, (zero, bad) in useless.items()
    ]
    return dataclasses.replace(run, records=(*run.records, *records))


def warnings_of_knowledge(runs: Sequence[FinishedRun]) -> list[str]:
    """The warnings of all conditions of some runs."""
    groups = conditions(runs)
    return [line for group in groups for line in knowledge_in_words(group, groups)]


def with_looks(run: FinishedRun, *responses: Sequence[dict[str, float]]) -> FinishedRun:
    """Responses in which the opponents had these figures, look by look."""
    looks = [
        training_record("respond", round=r, opponents=figures) for r, seen in enumerate(responses) for figures in seen
    ]
    return dataclasses.replace(run, records=(*run.records, *looks))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return run_of(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """A run with two attacked techniques."""
    return run_of(tmp_path_factory.mktemp("two"), names=("cnn", "dct", "forest"))


def test_zero_gradients_are_shares_over_all_responses(of_two):
    (line,) = gradients_in_words([with_gradients(of_two, cnn=(0, 0), dct=(10, 5))])
    assert "cnn 0.0%, dct 0.5%" in line


@pytest.mark.parametrize("useless", [(30, 0), (0, 30), (15, 15)])
def test_many_gradients_of_no_use_are_a_warning(of_two, useless):
    _, warning = gradients_in_words([with_gradients(of_two, cnn=(0, 0), dct=useless)])
    assert warning.startswith(WARNING)
    assert "dct 1.5%" in warning
    assert "cnn" not in warning


def excess(*cnn: float) -> list[dict[str, float]]:
    return [{"cnn_excess": value, "cnn_auc": 0.6} for value in cnn]


def test_matched_features_come_nearer_to_reals_within_each_response(sound):
    """Another response has other features. One that was looked at once says nothing."""
    runs = [with_looks(sound, excess(10, 9, 6), excess(12, 7)), with_looks(sound, excess(8, 8, 5), excess(20))]
    (line,) = features_in_words(runs)
    assert "cnn from 10.0 to 6.0." in line


@pytest.mark.parametrize(("first", "last", "warns"), [(5.0, 5.0, True), (4.0, 8.0, True), (1.0, 2.5, False)])
def test_steps_that_do_not_help_are_a_warning_unless_features_are_as_those_of_reals(sound, first, last, warns):
    _, *warnings = features_in_words([with_looks(sound, excess(first, last))])
    assert len(warnings) == warns
    assert all(line.startswith(WARNING) and "(cnn)" in line for line in warnings)


def test_a_figure_that_was_not_finite_at_a_look_is_left_out(of_two):
    looks = [{"cnn_excess": 9.0, "dct_excess": 9.0}, {"dct_excess": 4.0}]
    (line,) = features_in_words([with_looks(of_two, looks)])
    assert "cnn" not in line
    assert "dct from 9.0 to 4.0" in line


def test_the_responses_of_its_origin_are_none_of_a_branch(sound):
    origin = [record for record in with_looks(sound, excess(9, 8)).records if record.kind == "training"]
    phase = next(record for record in sound.records if isinstance(record, PhaseRecord))
    branch = dataclasses.replace(sound, records=(*origin, dataclasses.replace(phase, phase="warm_up"), *sound.records))
    assert features_in_words([branch]) == []
    assert "cnn from 6.0 to 4.0" in features_in_words([with_looks(branch, excess(6, 4))])[0]


def test_without_an_attack_there_is_nothing_to_check(tmp_path):
    control = run_of(tmp_path, "none")
    assert gradients_in_words([control]) == features_in_words([control]) == frozen_in_words([control]) == []


def test_random_critics_have_names_of_techniques_and_are_no_attack_on_them(tmp_path):
    control = with_gradients(run_of(tmp_path, "random"), cnn=(900, 0))
    assert gradients_in_words([control]) == features_in_words([with_looks(control, excess(9, 9))]) == []


def test_resampling_is_told_with_what_it_changed(sound):
    """The record of ``resampled`` has an AUC of 0.6 and a share of 0.25."""
    run = resampled(sound, [1])
    assert resampling_in_words([sound]) == resampling_in_words([resampled(sound, [0])]) == []
    (line,) = resampling_in_words([run])
    assert "drawn from 4 candidates" in line
    (record,) = run.of_kind(ResamplingRecord)
    plain = dataclasses.replace(record, shrink=0.0, auc=0.7, chosen=False)
    (line,) = resampling_in_words([dataclasses.replace(run, records=(*run.records, plain))])
    assert "0.700 for the stack on fakes as they come, and 0.600 on these" in line
    assert "Resampling the fakes lowers it as well" in frozen_in_words([run])[0]


def test_an_attack_that_evades_its_detectors_is_no_warning(sound):
    (line,) = frozen_in_words([sound])
    assert frozen_fall([sound], "cnn") == pytest.approx((0.99, 0.05), abs=0.03)
    before, after = frozen_fall([sound], "cnn") or (0, 0)
    assert f"cnn from {before:.3f} to {after:.3f}" in line
    assert "forest" not in line  # which the generator had no access to


def test_detectors_that_an_attack_leaves_where_they_were_are_a_warning(tmp_path):
    _, warning = frozen_in_words([run_of(tmp_path, frozen=0.999)])
    assert warning.startswith(WARNING)
    assert "(cnn)" in warning


def test_an_attack_does_more_than_training_without_one(tmp_path, sound):
    control = [run_of(tmp_path, "none", frozen=0.75)]
    (line,) = frozen_in_words([sound], control)
    _, unattacked = frozen_fall(control, "cnn") or (0, 0)
    assert f"(access=none: {unattacked:.3f})" in line
    weak = run_of(tmp_path / "weak", frozen=0.92)
    _, warning = frozen_in_words([weak], control)
    assert warning.startswith(WARNING)
    assert "access=none" in warning


@pytest.mark.slow
@pytest.mark.parametrize(("informed", "ignorant", "warns"), [(0.9, 0.6, True), (0.6, 0.9, False)])
def test_less_knowledge_that_evades_better_is_a_warning(tmp_path, informed, ignorant, warns):
    runs = [run_of(tmp_path, "white_box", informed, seed=seed) for seed in (0, 1)]
    runs += [run_of(tmp_path / "none", "none", ignorant, seed=seed) for seed in (0, 1)]
    lines = warnings_of_knowledge(runs)
    assert len(lines) == warns
    assert all("access=none evades cnn better than access=white_box" in line for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(("levels", "warns"), [([], True), (["labels"], False)])
def test_an_attack_of_another_kind_is_not_compared(tmp_path, levels, warns):
    """One without any access attacks nothing, whatever its objective."""

    def attacking(run: FinishedRun, levels: list[str], weight: float) -> FinishedRun:
        access = {**section(run.config, "access"), "levels": levels}
        return dataclasses.replace(run, config={**run.config, "access": access, "objective": {"weight": weight}})

    runs = [attacking(run_of(tmp_path, "white_box", 0.9, seed=seed), ["gradients"], 1.0) for seed in (0, 1)]
    runs += [attacking(run_of(tmp_path / "none", "none", 0.6, seed=seed), levels, 2.0) for seed in (0, 1)]
    assert len(warnings_of_knowledge(runs)) == warns


@pytest.mark.slow
def test_other_controls_are_no_weaker_attack(tmp_path):
    """``other_reals`` has gradients of other detectors: that it evades better says nothing of knowledge."""
    runs = [run_of(tmp_path, "white_box", 0.9), run_of(tmp_path / "other", "other_reals", 0.6)]
    assert warnings_of_knowledge(runs) == []


@pytest.mark.slow
def test_an_answer_has_the_checks_beside_its_control(tmp_path, sound):
    ours, control = answers(conditions([sound, run_of(tmp_path, "none", frozen=0.6)]))
    assert any("access=none: " in line for line in ours.attack)
    assert control.attack == []
    assert ours.as_json()["attack"] == ours.attack


@pytest.mark.slow
def test_an_answer_warns_of_less_knowledge_that_evades_better(tmp_path):
    runs = [run_of(tmp_path, "white_box", 0.9, seed=seed) for seed in (0, 1)]
    runs += [run_of(tmp_path / "none", "none", 0.6, seed=seed) for seed in (0, 1)]
    ours, control = answers(conditions(runs))
    assert any("access=none evades cnn better" in line for line in ours.attack)
    assert control.attack == []
