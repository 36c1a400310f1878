import dataclasses

import numpy as np
import pytest

from arena.answer.curve import RunCurve, by_round, curve, judged, run_curve
from arena.metrics.auc import Influence, combine, mean
from arena.records.schema import ScoreRecord
from tests.answer.curved import curved_run

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


def test_rounds_are_correlated_by_the_reals_they_share(run):
    """Cov(A, B) from Var(A + B) of the influences added up, fakes of two rounds under numbers of their own."""
    records = judged(run)
    one, other = (mean(run.influences(records["stack", round_index], bank=round_index)) for round_index in (0, 2))
    covariance = (combine([one, other], (1.0, 1.0)).variance - one.variance - other.variance) / 2
    its = run_curve(stack_points(run))
    assert its.images[0, 2] == pytest.approx(covariance)
    assert covariance > 0


def test_judges_add_variance(run):
    points = stack_points(run)
    agreed = [[dataclasses.replace(judge, value=mean(judges).value) for judge in judges] for judges in points]
    apart, together = (curve(range(3), [run_curve(its)], ["stack"] * 3) for its in (points, agreed))
    np.testing.assert_allclose(apart.values, together.values, rtol=1e-12)
    np.testing.assert_allclose(together.covariance, run_curve(points).images)
    assert (apart.errors > together.errors).all()


def drawn(rng, rounds=8, runs=3, reals=400, seed_sd=0.02, shared=True):
    """Runs whose points err by their reals, their fakes and the run itself, and what each point's true value is."""
    wide = rng.normal(size=(runs if not shared else 1, reals)) * 0.01 / np.sqrt(reals) * 20
    curves = []
    for number in range(runs):
        real = wide[0 if shared else number]
        own = seed_sd * rng.normal() + 0.01 * rng.normal(size=rounds)
        values = 0.8 + real.sum() / 20 + own
        ids = np.arange(reals) + (0 if shared else number * reals)
        curves.append(
            RunCurve(
                np.tile(values, (3, 1)), ids, np.full((rounds, reals), 0.01 / np.sqrt(reals)), np.full(rounds, 1e-4)
            )
        )
    return curves


@pytest.mark.parametrize("seed_sd", [0.0, 0.02])
def test_over_runs_the_error_is_the_spread_between_runs_and_the_reals_they_share(seed_sd):
    """Of many draws of three runs: the covariance stated on average against the one found."""
    rng = np.random.default_rng(0)
    curves = [curve(range(8), drawn(rng, seed_sd=seed_sd), ["stack"] * 8) for _ in range(600)]
    stated = np.mean([its.covariance for its in curves], axis=0)
    found = np.cov(np.array([its.values for its in curves]).T)
    assert np.diag(stated).mean() == pytest.approx(np.diag(found).mean(), rel=0.15)
    off = ~np.eye(8, dtype=bool)
    assert stated[off].mean() == pytest.approx(found[off].mean(), rel=0.25, abs=1e-6)


def test_the_covariance_can_be_inverted_with_two_runs_of_ten_rounds():
    rng = np.random.default_rng(1)
    covariance = curve(range(10), drawn(rng, rounds=10, runs=2), ["stack"] * 10).covariance
    assert np.linalg.eigvalsh(covariance).min() > 0


def test_a_paired_difference_cancels_what_both_owe_to_the_reals(run):
    its = run_curve(stack_points(run))
    nothing = its.less(its)
    np.testing.assert_array_equal(nothing.values, 0)
    np.testing.assert_array_equal(nothing.real, 0)
    np.testing.assert_allclose(np.diag(nothing.images), 2 * its.fake)


def test_reals_that_only_one_point_tested_have_no_say_in_the_others():
    one = Influence(0.8, np.array([1, 5]), np.array([0.1, 0.2]), np.array([0]), np.array([0.08]), floor=0.0036)
    other = Influence(0.7, np.array([5, 9]), np.array([0.3, 0.4]), np.array([0]), np.array([0.0]), floor=0.02)
    np.testing.assert_allclose(
        run_curve([[one], [other]]).images, [[0.01 + 0.04 + 0.01, 0.06], [0.06, 0.09 + 0.16 + 0.02]]
    )


def test_the_strongest_is_named_by_validation_and_never_by_the_test(run):
    def turned(record):
        if not isinstance(record, ScoreRecord) or record.regime != "fresh":
            return record
        return dataclasses.replace(record, validation_auc=0.99 if record.technique == "cnn" else 0.6)

    weak = dataclasses.replace(run, records=tuple(map(turned, run.records)))
    assert by_round([weak], BOTH)["strongest"] == {0: "cnn", 1: "cnn", 2: "cnn"}
    assert by_round([weak], BOTH)["stack"] == {0: "stack", 1: "stack", 2: "stack"}
    assert by_round([run], BOTH)["strongest"][2] == "stack"


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
