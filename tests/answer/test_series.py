import dataclasses

import numpy as np
import pytest

from arena.answer.answer import Answer, answer_of, read_answer
from arena.answer.runs import read_run
from arena.answer.series import as_of
from arena.figures.tables import outcome
from arena.records.schema import PhaseRecord
from arena.records.store import RecordBook
from tests.synthetic import synthetic_run

pytestmark = pytest.mark.slow

TECHNIQUES = {"cnn": 0.6, "forest": 0.9, "stack": 0.8, "bag": 0.95}


def answered(folder, seeds=1, **changed) -> Answer:
    settings = {"techniques": TECHNIQUES, "rounds": 2, "n_real": 80, "n_fake": 80} | changed
    paths = [synthetic_run(folder / str(seed), seed=seed, data_seed=seed, **settings) for seed in range(seeds)]
    return answer_of([read_run(path) for path in paths])


def test_the_last_step_is_that_of_the_verdict(tmp_path):
    """The bag, which judges many images at once, is the strongest in neither."""
    answer = answered(tmp_path)
    verdict, last = answer.verdict, answer.trajectory.steps[-1]
    assert verdict.strongest is not None
    assert (last.round, last.technique) == (2, verdict.strongest.technique)
    assert last.auc.value == pytest.approx(verdict.strongest.auc)
    assert last.guarded["quality"] == verdict.guards.quality.figure == pytest.approx(0.1507, abs=1e-4)
    assert last.guarded["variety"] == verdict.guards.variety.figure == pytest.approx(0.6 / 0.75)
    assert last.guarded["memorisation"] == 0.001  # the share of near copies


def test_every_round_is_read_as_if_it_had_been_the_last(tmp_path):
    answer = answered(tmp_path, quality={"kernel_distance": 0.1})
    steps = answer.trajectory.steps
    assert [step.round for step in steps] == [0, 1, 2]
    # Upper bounds of 0.01 / 0.08 and of 0.1 / 0.08, by Fieller
    assert [step.guarded["quality"] for step in steps] == pytest.approx([0.1507, 0.1507, 1.3949], abs=1e-4)
    for step in steps:
        then = as_of(answer.run, step.round)
        assert then is not None
        aucs = [record.auc for record in then.fresh(step.technique).values()]
        assert step.auc.value == pytest.approx(np.mean(aucs))
    assert as_of(answer.run, 3) is None


def test_the_mean_of_several_seeds_is_that_of_one_technique(tmp_path):
    trajectory = answered(tmp_path, seeds=3).trajectory
    assert [len(seed) for seed in trajectory.seeds] == [3, 3, 3]
    for k, step in enumerate(trajectory.steps):
        assert step.auc.value == pytest.approx(np.mean([seed[k].auc.value for seed in trajectory.seeds]))
        assert {seed[k].technique for seed in trajectory.seeds} == {step.technique}


def test_without_a_fit_judge_there_is_no_step(tmp_path):
    assert answered(tmp_path, planted=0.5).trajectory.steps == ()


def test_curves_read_the_budget_of_every_round_and_the_verdict_the_largest(tmp_path):
    """The scores of forest stand in for those of cnn judges with twice the images."""
    answer = answered(tmp_path)
    run, before = answer.run, {one.technique: one for one in answer.series}
    forest = run.fresh("forest")
    larger = [dataclasses.replace(forest[seed], technique="cnn", judge_images=40_000) for seed in sorted(forest)]
    closing = run.of_kind(PhaseRecord)[-1]
    RecordBook(run.path).append([*larger, dataclasses.replace(closing, phase="judge", player="40000 images")])
    again = read_answer(run.path)
    cnn = next(one for one in again.series if one.technique == "cnn")
    assert cnn.points == before["cnn"].points
    assert cnn.judged(2) == before["forest"].at("fresh", 2) != cnn.at("fresh", 2)
    assert again.verdict.techniques["cnn"].auc == pytest.approx(before["forest"].at("fresh", 2).value)
    assert again.run.equal_judges["cnn", 2] == run.fresh("cnn")
    path, decisive = again.trajectory.steps, again.trajectory.decisive
    assert path == answer.trajectory.steps
    assert answer.trajectory.decisive is None
    strongest = again.verdict.strongest
    assert decisive is not None
    assert strongest is not None
    assert decisive.round == path[-1].round == 2
    assert decisive.auc.value == pytest.approx(strongest.auc)
    shown = next(row for row in outcome(again.verdict, again.series) if row.technique == "cnn")
    assert shown.fresh.startswith(f"{before['forest'].at('fresh', 2).value:.3f}")
