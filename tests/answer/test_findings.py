import numpy as np
import pytest

from arena.answer.estimate import Estimate, estimate
from arena.answer.findings import holm, is_saturated, judges_to_show
from arena.config.schema import JudgeConfig
from arena.metrics.auc import influence
from tests.metrics.scores import scores_of


@pytest.mark.parametrize(
    ("p_values", "rejected"),
    [
        ([0.01, 0.04, 0.03, 0.005], [True, False, False, True]),  # 0.005 <= .05/4, 0.01 <= .05/3, 0.03 > .05/2
        ([0.02, 0.02, 0.02], [False, False, False]),  # Bonferroni's first step already fails
        ([0.016, 0.024, 0.05], [True, True, True]),
        ([0.05], [True]),
        ([1.0, 1e-9], [False, True]),
    ],
)
def test_holm(p_values, rejected):
    found = holm({str(k): p for k, p in enumerate(p_values)}, 0.05)
    assert list(found.values()) == rejected


def test_true_nulls_are_caught_no_more_than_alpha_allows():
    """Family-wise, over batteries of five true nulls with three judges each."""
    rng = np.random.default_rng(0)
    caught = 0
    for _ in range(60):
        p_values = {}
        for technique in range(5):
            image = rng.normal(size=(2, 60))
            judged = [influence(scores_of(*(image + rng.normal(size=(2, 60))))) for _ in range(3)]
            p_values[str(technique)] = estimate([judged]).p_above(0.5)
        caught += any(holm(p_values, 0.05).values())
    assert caught <= 9  # 99.9% of a binomial of 60 at 0.05


def gain_of(judges: np.ndarray) -> Estimate:
    """The mean gain of some judges that differ in nothing but themselves."""
    count = len(judges)
    spread = float(np.var(judges, ddof=1)) / count
    return Estimate(float(judges.mean()), 0.0, spread, count - 1, images=1000, repeats=count, runs=1)


@pytest.mark.parametrize(("gain", "least", "most"), [(0.025, 0.04, 0.08), (0.0, 0.96, 1.0)])
def test_judges_added_where_they_would_show_it_hardly_loosen_the_guard(gain, least, most):
    """A gain of exactly half of the margin counts as saturated in about 6% of cases, and no gain nearly always."""
    rng, saturated = np.random.default_rng(0), []
    for _ in range(4000):
        judges = gain + 0.0115 * rng.normal(size=3 + JudgeConfig.more_seeds)
        few, all_of_them = gain_of(judges[:3]), gain_of(judges)
        shown_by = judges_to_show(few, 0.05, 0.05)
        grown = shown_by is not None and shown_by <= len(judges)
        saturated.append(is_saturated(few, 0.05, 0.05) or (grown and is_saturated(all_of_them, 0.05, 0.05)))
    assert least < np.mean(saturated) <= most
