import pytest
from matplotlib.patches import Rectangle

from arena.answer.answer import answer_of
from arena.answer.runs import read_run
from arena.answer.series import Trajectory
from arena.figures.marks import mark_of
from arena.figures.quality import quality
from tests.figures.drawable import curves
from tests.synthetic import synthetic_run

TECHNIQUES = {"cnn": 0.6, "forest": 0.9, "stack": 0.8}


def trajectory(folder, seeds=1, **changed) -> Trajectory:
    settings = {"techniques": TECHNIQUES, "rounds": 2, "n_real": 80, "n_fake": 80} | changed
    paths = [synthetic_run(folder / str(seed), seed=seed, data_seed=seed, **settings) for seed in range(seeds)]
    return answer_of([read_run(path) for path in paths]).trajectory


def drawn(axes) -> tuple[list[float], list[float]]:
    """The path of the first condition: figure of the guard, and AUC, of every round."""
    x, y = curves(axes, mark_of(0))[0]
    return x.tolist(), y.tolist()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    return trajectory(tmp_path_factory.mktemp("quality"), quality={"kernel_distance": 0.1})


@pytest.mark.slow
def test_several_seeds_are_drawn_faint(tmp_path):
    figure = quality([trajectory(tmp_path, seeds=3)])
    assert len([line for line in figure.axes[0].lines if line.get_alpha()]) == 3


def test_the_path_drawn_is_the_trajectory(usual):
    for axes, guard in zip(quality([usual]).axes, ("quality", "variety", "memorisation"), strict=True):
        assert axes.get_title(loc="left") == guard
        x, y = drawn(axes)
        assert x == pytest.approx([step.guarded[guard] for step in usual.steps])
        assert y == pytest.approx([min(step.auc.value, 0.999) for step in usual.steps])


@pytest.mark.parametrize(("panel", "limit", "above"), [(0, 1.0, True), (1, 0.5, False), (2, 0.02, True)])
def test_the_broken_side_is_hatched_and_the_passing_corner_framed(usual, panel, limit, above):
    axes = quality([usual]).axes[panel]
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


@pytest.mark.parametrize("distance", [-0.01, -0.002])
def test_a_distance_of_nothing_is_drawn_at_the_end_of_the_logarithmic_axis(tmp_path, distance):
    axes = quality([trajectory(tmp_path, quality={"kernel_distance": distance})]).axes[0]
    assert drawn(axes)[0][-1] == axes.get_xlim()[0] > 0


def test_where_the_unit_says_nothing_the_figure_is_infinite_and_drawn_at_the_end(tmp_path):
    axes = quality([trajectory(tmp_path, quality={"unit_kernel_distance": 0.0})]).axes[0]
    assert drawn(axes)[0][-1] == axes.get_xlim()[1] > 1.0


def test_an_auc_of_one_is_drawn_at_the_end_of_its_axis(tmp_path):
    axes = quality([trajectory(tmp_path, techniques={"cnn": 1.0, "stack": 1.0}, rounds=1)]).axes[0]
    assert drawn(axes)[1][-1] <= 0.999 < axes.get_ylim()[1]
