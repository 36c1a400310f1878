import dataclasses

import numpy as np
import pytest
from scipy.stats import binom, norm

from arena.answer.curve import RunCurve, by_round, curve, judged, run_curve
from arena.metrics.auc import Influence, combine, influence, mean
from arena.records.schema import ScoreRecord
from tests.answer.curved import curved_run
from tests.metrics.scores import scores_of

BOTH = ("cnn", "stack")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return curved_run(tmp_path_factory.mktemp("curve"), {"cnn": [0.9, 0.8, 0.6], "stack": [0.9, 0.8, 0.7]}, n=300)


def stack_points(run):
    records = judged(run)
    return [run.influences(records["stack", round_index]) for round_index in range(3)]


def test_the_errors_of_a_point_are_those_of_its_mean_judge(run):
    records = judged(run)["stack", 1]
    together = mean(run.influences(records))
    its = run_curve(stack_points(run))
    assert its.values[1] == pytest.approx(together.value)
    assert its.images[1, 1] == pytest.approx(together.variance)


def test_rounds_are_correlated_by_the_reals_and_the_z_they_share(run):
    """Cov(A, B) from Var(A + B) of the influences added up, fakes of equal index as one."""
    records = judged(run)
    one, other = (mean(run.influences(records["stack", round_index])) for round_index in (0, 2))
    covariance = (combine([one, other], (1.0, 1.0)).variance - one.variance - other.variance) / 2
    its = run_curve(stack_points(run))
    assert its.images[0, 2] == pytest.approx(covariance)
    assert covariance > 0


@pytest.mark.parametrize("alike", [-0.6, 0.0, 0.3, 0.9])
def test_the_error_of_a_difference_counts_how_alike_fakes_of_one_z_are(alike):
    """Of many draws of two rounds: the variance stated on average against the one found, and the coverage."""
    rng = np.random.default_rng(4)
    differences, stated = [], []
    for _ in range(400):
        real, z = rng.normal(size=60), rng.normal(size=120)
        other = alike * z + np.sqrt(1 - alike**2) * rng.normal(size=120)
        points = [[influence(scores_of(real, 1 + fake))] for fake in (z, other)]
        its = run_curve(points)
        differences.append(its.values[0] - its.values[1])
        stated.append(np.array([1, -1]) @ its.images @ np.array([1, -1]))
    assert np.mean(stated) == pytest.approx(np.var(differences), rel=0.2)
    held = np.sum(np.abs(differences) < norm.isf(0.025) * np.sqrt(stated))
    assert binom.ppf(1e-3, 400, 0.94) <= held <= binom.ppf(1 - 1e-3, 400, 0.96)


def test_an_index_that_is_no_common_z_is_paired_at_the_cost_of_a_small_error():
    """Unrelated fakes under one index: their correlation is 0 within one over the root of their number."""
    rng = np.random.default_rng(5)
    found = []
    for _ in range(200):
        its = run_curve([[influence(scores_of(rng.normal(size=50), 1 + rng.normal(size=400)))] for _ in range(2)])
        covariance = its.fake @ its.fake.T
        found.append(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    assert np.mean(found) == pytest.approx(0, abs=4 / np.sqrt(200 * 400))
    assert np.std(found) == pytest.approx(1 / np.sqrt(400), rel=0.2)


def test_judges_add_variance(run):
    points = stack_points(run)
    agreed = [[dataclasses.replace(judge, value=mean(judges).value) for judge in judges] for judges in points]
    apart, together = (curve(range(3), [run_curve(its)], ["stack"] * 3) for its in (points, agreed))
    np.testing.assert_allclose(apart.values, together.values, rtol=1e-12)
    np.testing.assert_allclose(together.covariance, run_curve(points).images)
    assert (apart.errors > together.errors).all()


def drawn(rng, rounds=8, runs=3, reals=400, seed_sd=0.02, shared=True, alike=0.3):
    """Runs whose points err by their reals, their fakes of one z and the run itself, about a true value of 0.8."""
    wide = rng.normal(size=(runs if not shared else 1, reals)) * 0.01 / np.sqrt(reals) * 20
    fake = 0.01 * np.linalg.cholesky((1 - alike) * np.eye(rounds) + alike).astype(np.float64)
    curves = []
    for number in range(runs):
        real = wide[0 if shared else number]
        own = seed_sd * rng.normal() + fake @ rng.normal(size=rounds)
        values = np.tile(0.8 + real.sum() / 20 + own, (3, 1))
        ids = np.arange(reals) + (0 if shared else number * reals)
        of_reals = np.full((rounds, reals), 0.01 / np.sqrt(reals))
        curves.append(RunCurve(values, ids, of_reals, np.arange(rounds), fake, np.zeros(rounds)))
    return curves


@pytest.mark.parametrize("seed_sd", [0.0, 0.02])
def test_over_runs_the_error_is_the_spread_between_runs_and_the_reals_they_share(seed_sd):
    """Of many draws of three runs: the covariance stated on average against the one found.

    The larger of two variances is a little too large on average where the runs differ in nothing but their images.
    """
    rng = np.random.default_rng(0)
    curves = [curve(range(8), drawn(rng, seed_sd=seed_sd), ["stack"] * 8) for _ in range(600)]
    stated = np.mean([its.covariance for its in curves], axis=0)
    found = np.cov(np.array([its.values for its in curves]).T)
    assert 0.87 < np.diag(stated).mean() / np.diag(found).mean() < 1.3
    off = ~np.eye(8, dtype=bool)
    assert 0.8 < stated[off].mean() / found[off].mean() < 1.5


def test_runs_that_agree_by_luck_keep_the_errors_of_their_images():
    rng = np.random.default_rng(2)
    runs = drawn(rng, seed_sd=0.0)
    same = [dataclasses.replace(run, judges=runs[0].judges) for run in runs]
    its = curve(range(8), same, ["stack"] * 8)
    alone = runs[0].real @ runs[0].real.T + runs[0].fake @ runs[0].fake.T / 3
    np.testing.assert_allclose(its.covariance, alone, rtol=1e-6)


def test_the_covariance_can_be_inverted_with_two_runs_of_ten_rounds():
    rng = np.random.default_rng(1)
    covariance = curve(range(10), drawn(rng, rounds=10, runs=2), ["stack"] * 10).covariance
    assert np.linalg.eigvalsh(covariance).min() > 0


@pytest.mark.parametrize("count", [1, 3])
def test_a_point_at_which_runs_do_not_differ_has_no_error_and_leaves_the_others_theirs(count):
    """As the first round of two runs with one warm-up."""
    runs = drawn(np.random.default_rng(3), runs=count)
    for each in runs:
        each.judges[:, 0] = each.real[0] = each.fake[0] = 0
    whole = curve(range(8), runs, ["stack"] * 8).covariance
    rest = curve(range(1, 8), [each.take(np.arange(1, 8)) for each in runs], ["stack"] * 7).covariance
    assert not whole[0].any()
    np.testing.assert_allclose(whole[1:, 1:], rest, rtol=1e-6)


def test_a_paired_difference_cancels_what_both_owe_to_the_reals(run):
    its = run_curve(stack_points(run))
    nothing = its.less(its)
    np.testing.assert_array_equal(nothing.values, 0)
    np.testing.assert_array_equal(nothing.real, 0)
    np.testing.assert_array_equal(nothing.fake, 0)
    np.testing.assert_allclose(np.diag(nothing.images), 2 * its.floor)


def test_images_that_only_one_point_tested_have_no_say_in_the_others():
    one = Influence(0.8, np.array([1, 5]), np.array([0.1, 0.2]), np.array([0, 2]), np.array([0.08, 0.1]), floor=0.0036)
    other = Influence(0.7, np.array([5, 9]), np.array([0.3, 0.4]), np.array([2, 3]), np.array([0.3, 0.0]), floor=0.02)
    np.testing.assert_allclose(
        run_curve([[one], [other]]).images, [[0.05 + 0.0164 + 0.0036, 0.06 + 0.03], [0.09, 0.25 + 0.09 + 0.02]]
    )


def test_the_strongest_is_the_one_by_validation_at_the_last_round_in_every_round(run):
    def turned(record):
        if not isinstance(record, ScoreRecord) or record.regime != "fresh":
            return record
        ahead = "cnn" if record.round == 2 else "stack"
        return dataclasses.replace(record, validation_auc=0.99 if record.technique == ahead else 0.6)

    weak = dataclasses.replace(run, records=tuple(map(turned, run.records)))
    assert by_round([weak], BOTH)["strongest"] == {0: "cnn", 1: "cnn", 2: "cnn"}
    assert by_round([weak], BOTH)["stack"] == {0: "stack", 1: "stack", 2: "stack"}
    assert set(by_round([run], BOTH)["strongest"].values()) == {"stack"}


def test_a_round_without_all_its_judges_is_no_point(run):
    fewer = dataclasses.replace(
        run,
        records=tuple(
            record
            for record in run.records
            if not (isinstance(record, ScoreRecord) and (record.generator_round, record.judge_seed) == (1, 2))
        ),
    )
    assert list(by_round([run, fewer], BOTH)["stack"]) == [0, 2]
