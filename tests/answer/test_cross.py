"""The cross matrix: a U-statistic of pairs of runs, its error, and what held-out judges conclude."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.answer.cross import cross_in_words, cross_matrices, leave_one_out
from arena.answer.estimate import estimate
from arena.answer.findings import findings_of_estimates
from arena.answer.runs import read_run
from arena.metrics.auc import Influence
from tests.crossing import crossed
from tests.synthetic import synthetic_run

NONE = np.zeros(0, dtype=np.int64), np.zeros(0)


def exact(value: float) -> Influence:
    """An AUC that no image adds an error to."""
    return Influence(value, *NONE, *NONE, 0.0)


@given(st.integers(2, 6), st.randoms(use_true_random=False))
def test_the_values_of_the_runs_average_to_the_mean_off_the_diagonal(count, random):
    cells = [[random.random() for _ in range(count)] for _ in range(count)]
    values = [each.value for each in leave_one_out([[exact(cell) for cell in row] for row in cells])]
    expected = np.mean([cells[i][j] for i in range(count) for j in range(count) if i != j])
    assert np.mean(values) == pytest.approx(expected)


@pytest.mark.parametrize("count", [3, 5])
def test_the_interval_over_runs_holds_the_mean_of_all_pairs(count):
    """Rows and columns have effects of their own, so that cells of one run are alike, and few runs say less."""
    rng, held, draws = np.random.default_rng(count), [], 400
    for _ in range(draws):
        of_judges, of_fakes = rng.normal(0, 0.02, (count, 1)), rng.normal(0, 0.03, (1, count))
        cells = 0.8 + of_judges + of_fakes + rng.normal(0, 0.01, (count, count))
        apart = leave_one_out([[exact(float(cell)) for cell in row] for row in cells])
        interval = estimate([[each] for each in apart]).interval()
        held.append(interval.low <= 0.8 <= interval.high)
    # Binomial, 99.9%: a nominal 95% may come out at 0.914 to 0.986, and the jackknife errs to the wide side.
    assert np.mean(held) >= 0.914


TECHNIQUES = {"cnn": 0.9, "forest": 0.9}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Three runs: judges of cnn detect what the runs share, those of forest only what is their own run's."""
    folder = tmp_path_factory.mktemp("crossed")
    runs = [
        synthetic_run(folder / str(seed), seed=seed, rounds=0, techniques=TECHNIQUES, n_real=900, n_fake=900)
        for seed in range(3)
    ]
    return crossed(runs, lambda judges, fakes, name: 0.85 if name == "cnn" else 0.5)


def test_own_judges_on_the_diagonal_and_others_off_it(paths):
    runs = [read_run(path) for path in paths]
    matrices = cross_matrices(runs)
    assert list(matrices) == ["cnn", "forest"]
    for name, matrix in matrices.items():
        assert matrix.seeds == (0, 1, 2)
        for k, run in enumerate(runs):
            own = estimate([run.influences(list(run.fresh(name).values()))])
            assert matrix.cells[k][k].value == pytest.approx(own.value)
        others = [matrix.cells[i][j].value for i in range(3) for j in range(3) if i != j]
        assert matrix.others.value == pytest.approx(np.mean(others))
        assert matrix.difference.value == pytest.approx(matrix.own.value - matrix.others.value)


def test_what_held_out_judges_conclude(paths):
    matrices = cross_matrices([read_run(path) for path in paths])
    others = {name: matrix.others for name, matrix in matrices.items()}
    assert findings_of_estimates(others, 0.05, 0.05) == {"cnn": "caught", "forest": "passes"}
    lines = cross_in_words(matrices, 0.05, 0.05)
    assert "3 runs, 6 pairs" in lines[0]
    assert "cnn: held-out judges catch" in lines[1]
    assert "forest: held-out judges are fooled" in lines[2]
    assert lines[-1].endswith("does not fool held-out judges. The runs share what cnn detects.")
    fooled = cross_in_words({"forest": matrices["forest"]}, 0.05, 0.05)
    assert fooled[-1] == "Conclusion: the generator fools the held-out judges of every technique."
    assert cross_in_words({}, 0.05, 0.05) == []


def test_reals_that_all_runs_share_are_part_of_the_error():
    """Equal cells show no spread between runs, and the error of the mean is that of the shared reals."""
    ids, influence = np.arange(50), np.random.default_rng(0).normal(0, 0.002, 50)
    cell = Influence(0.8, ids, influence, *NONE, 0.0)
    apart = leave_one_out([[cell] * 4] * 4)
    assert estimate([[each] for each in apart]).error ** 2 == pytest.approx(influence @ influence)


def test_a_missing_cell_is_no_matrix(paths, tmp_path):
    alone = synthetic_run(tmp_path / "3", seed=3, rounds=0, techniques=TECHNIQUES, n_real=900, n_fake=900)
    assert cross_matrices([read_run(path) for path in (*paths, alone)]) == {}
    assert cross_matrices([read_run(paths[0])]) == {}


def test_two_runs_have_an_error_of_images_and_judges_alone(paths):
    matrix = cross_matrices([read_run(path) for path in paths[:2]])["cnn"]
    assert matrix.others.runs == 1
    assert matrix.others.value == pytest.approx((matrix.cells[0][1].value + matrix.cells[1][0].value) / 2)
