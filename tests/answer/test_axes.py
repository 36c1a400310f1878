import dataclasses
from typing import Any

import numpy as np
import pytest

from arena.answer.answer import answers
from arena.answer.axes import axes
from arena.answer.conditions import conditions
from tests.answer.curved import curved_run

pytestmark = pytest.mark.slow


def axes_of(runs):
    return axes(answers(conditions(runs)))


def swept(run, **changes: Any):
    """The run as if its config had said otherwise: ``judge__images=...``."""
    config = dict(run.config)
    for key, value in changes.items():
        group, name = key.split("__")
        config[group] = {**config.get(group, {}), name: value}
    return dataclasses.replace(run, config=config)


def sweep(folder, key, aucs, seeds=(0,), n=1000):
    """Condition by amount of a resource -> AUC."""
    return [
        swept(curved_run(folder / str(amount), {"cnn": [auc - 0.01], "stack": [auc]}, seed=seed, n=n), **{key: amount})
        for amount, auc in aucs.items()
        for seed in seeds
    ]


def by_power_law(limit, change, amounts):
    """AUC that nears its limit as 1/amount^2: an exponential of doublings."""
    return {amount: limit + change * (min(amounts) / amount) ** 2 for amount in amounts}


@pytest.mark.parametrize(
    ("key", "owner", "limit", "change"),
    [("judge__images", "judge", 0.85, -0.2), ("schedule__response_images", "generator", 0.75, 0.15)],
)
def test_the_limit_as_a_resource_grows_without_end(tmp_path, key, owner, limit, change):
    amounts = [1000 * 2**k for k in range(7)]
    found = axes_of(sweep(tmp_path, key, by_power_law(limit, change, amounts)))
    assert [axis.kind for axis in found] == ["stack", "strongest"]
    its = found[0]
    assert (its.key, its.owner, its.resource) == (key.replace("__", "."), owner, tuple(map(float, amounts)))
    np.testing.assert_allclose(its.fitted.curve.x, range(7))
    assert its.fitted.limit is not None
    assert its.fitted.limit.low < limit < its.fitted.limit.high


def test_reals_that_all_points_share_correlate_them(tmp_path):
    its = axes_of(sweep(tmp_path, "judge__images", {1000: 0.7, 2000: 0.8, 4000: 0.85}, n=200))[0].fitted.curve
    assert (its.covariance[~np.eye(3, dtype=bool)] > 0).all()


def test_few_conditions_are_a_curve_without_a_limit_and_two_are_none(tmp_path):
    runs = sweep(tmp_path, "judge__images", {1000: 0.7, 2000: 0.8, 4000: 0.85}, n=40)
    found = axes_of(runs)
    assert found[0].fitted.limit is None
    assert found[0].fitted.reason == "3 points, at least 6 are needed"
    assert axes_of(runs[:2]) == []


def test_what_differs_in_two_settings_or_is_no_resource_is_no_axis(tmp_path):
    aucs = {1000: 0.7, 2000: 0.8, 4000: 0.85}
    runs = sweep(tmp_path, "judge__images", aucs, n=40)
    both = [swept(run, generator__width=8 * (k + 1)) for k, run in enumerate(runs)]
    assert axes_of(both) == []
    assert axes_of(sweep(tmp_path / "margin", "answer__margin", {0.05: 0.7, 0.1: 0.7, 0.2: 0.7}, n=40)) == []


def test_conditions_are_compared_over_the_seeds_they_all_have(tmp_path):
    runs = sweep(tmp_path, "judge__images", {1000: 0.7, 2000: 0.8, 4000: 0.85}, seeds=(0, 1), n=40)
    assert axes_of(runs[:-1])[0].fitted.curve.runs == 1
    assert axes_of(runs)[0].fitted.curve.runs == 2
    lone = [dataclasses.replace(run, seed=k) for k, run in enumerate(runs[::2])]
    assert axes_of(lone) == []


def test_all_judge_reals_are_as_many_as_judged(tmp_path):
    runs = sweep(tmp_path, "judge__reals", {20: 0.7, 40: 0.8}, n=60)
    runs += [swept(curved_run(tmp_path, {"cnn": [0.84], "stack": [0.85]}, n=60), judge__reals=None)]
    assert axes_of(runs)[0].resource == (20.0, 40.0, 60.0)
