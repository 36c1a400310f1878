from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, t

from arena.answer.estimate import estimate
from arena.metrics.auc import influence
from tests.metrics.scores import scores_of


def test_the_estimate_of_runs_that_share_reals_keeps_the_error_of_the_reals():
    """Such runs agree too well: the error of their mean must not fall below the contribution of the reals."""
    rng = np.random.default_rng(10)
    covered, naive, repeats, n, runs = 0, 0, 200, 60, 6
    for _ in range(repeats):
        real = rng.normal(size=n)
        judged = [
            [influence(scores_of(real + 0.2 * rng.normal(size=n), 1.02 * rng.normal(size=400)), bank)]
            for bank in range(runs)
        ]
        result = estimate(judged)
        covered += result.low(0.025) <= 0.5 <= result.high(0.025)
        values = np.array([judges[0].value for judges in judged])
        naive += abs(values.mean() - 0.5) < 2.571 * values.std(ddof=1) / np.sqrt(runs)  # t(5) at 97.5%
    assert covered >= binom.ppf(0.001, repeats, 0.94)
    assert naive < 0.8 * repeats


def test_runs_with_their_own_reals_are_a_sample_for_students_t():
    rng = np.random.default_rng(11)
    judged = [[influence(scores_of(*rng.normal(size=(2, 80))), bank)] for bank in range(12)]
    apart = [[replace(one[0], real_id=one[0].real_id + 1000 * k)] for k, one in enumerate(judged)]
    result, values = estimate(apart), np.array([one[0].value for one in judged])
    assert result.value == pytest.approx(values.mean())
    assert result.df == pytest.approx(11, rel=1e-6)
    interval = t.interval(0.9, 11, values.mean(), values.std(ddof=1) / np.sqrt(12))
    assert (result.low(0.05), result.high(0.05)) == pytest.approx(interval, rel=1e-6)
    assert result.p_above(0.4) < 0.01 < 0.5 < result.p_above(0.6)
