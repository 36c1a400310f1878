import numpy as np
import pytest
from matplotlib.patches import Rectangle

from arena.answer.runs import conditions, read_run
from arena.answer.trajectory import as_of, trajectory
from arena.answer.verdict import verdict
from arena.figures.quality import quality
from tests.synthetic import synthetic_run

TECHNIQUES = {"cnn": 0.6, "forest": 0.9, "stack": 0.8}


def condition(folder, seeds=1, **changed):
    settings = {"techniques": TECHNIQUES, "rounds": 2, "n_real": 80, "n_fake": 80} | changed
    runs = [read_run(synthetic_run(folder / str(seed), seed=seed, data_seed=seed, **settings)) for seed in range(seeds)]
    (found,) = conditions(runs)
    return found


def drawn(axes, name):
    """The path of a condition: what the guard reads, and AUC, of every round."""
    (path,) = [line for line in axes.lines if line.get_gid() == name]
    return [np.asarray(values).tolist() for values in path.get_data()]


def test_the_last_step_is_what_the_verdict_says(tmp_path):
    its = condition(tmp_path)
    answer, last = verdict(its.runs), trajectory(its, "it").steps[-1]
    assert answer.strongest is not None
    assert (last.round, last.technique) == (2, answer.strongest.technique)
    assert last.point.auc == pytest.approx(answer.strongest.auc)
    assert last.guarded["quality"] == answer.guards.quality.figure == pytest.approx(0.01 / 0.2)
    assert last.guarded["variety"] == answer.guards.variety.figure == pytest.approx(0.6 / 0.75)
    assert last.guarded["memorisation"] == 0.47  # the lower end: what the guard compares with its limit


def test_every_round_is_read_as_if_it_had_been_the_last(tmp_path):
    its = condition(tmp_path, quality={"kernel_distance": 0.1})
    steps = trajectory(its, "it").steps
    assert [step.round for step in steps] == [0, 1, 2]
    assert [step.guarded["quality"] for step in steps] == pytest.approx([0.05, 0.05, 0.5])
    for step in steps:
        tests = [its.runs[0].fresh(step.technique)] if step.round == 2 else []
        earlier = as_of(its.runs[0], step.round)
        assert earlier is not None
        tests.append(earlier.fresh(step.technique))
        for found in tests:
            assert step.point.auc == pytest.approx(np.mean([record.auc for record in found.values()]))
    assert as_of(its.runs[0], 3) is None


def test_several_seeds_are_drawn_faint_around_their_mean(tmp_path):
    its = trajectory(condition(tmp_path, seeds=3), "it")
    assert [len(seed) for seed in its.seeds] == [3, 3, 3]
    for k, step in enumerate(its.steps):
        assert step.point.auc == pytest.approx(np.mean([seed[k].point.auc for seed in its.seeds]))
        assert {seed[k].technique for seed in its.seeds} == {step.technique}
    faint = [line for line in quality([its]).axes[0].lines if line.get_alpha()]
    assert len(faint) == 3


def test_what_is_drawn_is_what_was_read(tmp_path):
    its = trajectory(condition(tmp_path, quality={"kernel_distance": 0.1}), "it")
    for axes, guard in zip(quality([its]).axes, ("quality", "variety", "memorisation"), strict=True):
        assert axes.get_title(loc="left") == guard
        x, y = drawn(axes, "it")
        assert x == pytest.approx([step.guarded[guard] for step in its.steps])
        assert y == pytest.approx([min(step.point.auc, 0.999) for step in its.steps])


@pytest.mark.parametrize(("panel", "limit", "above"), [(0, 0.1, True), (1, 0.5, False), (2, 0.6, True)])
def test_the_broken_side_is_hatched_and_the_passing_corner_framed(tmp_path, panel, limit, above):
    axes = quality([trajectory(condition(tmp_path, rounds=1), "it")]).axes[panel]
    (hatched,) = [patch for patch in axes.patches if patch.get_hatch()]
    low, high = axes.get_xlim()
    assert (hatched.get_x(), hatched.get_x() + hatched.get_width()) == pytest.approx(
        (limit, high) if above else (low, limit)
    )
    (corner,) = [patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_linewidth() > 0]
    assert (corner.get_x(), corner.get_x() + corner.get_width()) == pytest.approx(
        (low, limit) if above else (limit, high)
    )
    assert (corner.get_y(), corner.get_y() + corner.get_height()) == pytest.approx((0.45, 0.55))


@pytest.mark.parametrize("distance", [-0.001, 0.0])
def test_a_distance_of_nothing_is_drawn_at_the_end_of_the_logarithmic_axis(tmp_path, distance):
    axes = quality([trajectory(condition(tmp_path, quality={"kernel_distance": distance}), "it")]).axes[0]
    assert drawn(axes, "it")[0][-1] == axes.get_xlim()[0] > 0


def test_where_the_blurred_reals_say_nothing_the_guard_is_broken_and_drawn_so(tmp_path):
    axes = quality([trajectory(condition(tmp_path, quality={"blurred_kernel_distance": 0.0}), "it")]).axes[0]
    assert drawn(axes, "it")[0][-1] == axes.get_xlim()[1] > 0.1


def test_an_auc_of_one_is_drawn_at_the_end_of_its_axis(tmp_path):
    axes = quality([trajectory(condition(tmp_path, techniques={"cnn": 1.0, "stack": 1.0}, rounds=1), "it")]).axes[0]
    assert drawn(axes, "it")[1][-1] <= 0.999 < axes.get_ylim()[1]


def test_where_no_judge_is_fit_there_is_no_step(tmp_path):
    assert trajectory(condition(tmp_path, planted=0.5), "it").steps == ()
