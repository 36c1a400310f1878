import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from arena.answer.limit.divergence import calibrated_scores, jensen_shannon, total_variation
from arena.records.schema import Scores
from tests.answer.limit.gaussians import gaussians, true_auc, true_jensen_shannon, true_total_variation

BOUNDS = {"total_variation": (total_variation, true_total_variation), "bits": (jensen_shannon, true_jensen_shannon)}


@pytest.mark.parametrize(
    ("d", "n_real", "n_fake", "judges", "noise"),
    [
        (0.0, 60, 60, 1, 0.0),  # real and fake are one law: the truth is 0
        (0.0, 60, 150, 3, 0.5),
        (2.0, 60, 150, 3, 0.3),
        (4.0, 60, 60, 1, 0.0),  # rarely an image wrong, mostly none: variances say nothing
        (6.0, 60, 60, 3, 0.0),
    ],
)
def test_the_bounds_exceed_the_truth_at_most_at_their_rate(d, n_real, n_fake, judges, noise):
    rng = np.random.default_rng(0)
    draws = [calibrated_scores(gaussians(rng, d, n_real, n_fake, judges, 3, noise)) for _ in range(50)]
    for found, truth in BOUNDS.values():
        exceeded = sum(found([run]).low > truth(d / np.sqrt(1 + noise**2)) for run in draws)
        assert exceeded <= binom.isf(0.001, 50, 0.05)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("d", [0.3, 1.0, 3.0])
def test_with_many_images_the_bound_comes_near_the_truth(bound, d):
    found, truth = BOUNDS[bound]
    low = found([calibrated_scores(gaussians(np.random.default_rng(1), d, 20_000, 20_000, 1, 1))]).low
    assert truth(d) - 0.02 < low < truth(d)


def test_one_law_is_nearly_always_zero():
    rng = np.random.default_rng(2)
    draws = [calibrated_scores(gaussians(rng, 0.0, 100, 100, 1)) for _ in range(50)]
    assert np.mean([total_variation([run]).low == 0.0 for run in draws]) > 0.9
    assert np.mean([jensen_shannon([run]).low == 0.0 for run in draws]) > 0.9


@pytest.mark.parametrize("wrong", [0, 1])
def test_without_a_wrong_image_the_rule_of_three_still_holds(wrong):
    """Of n images none was wrong: up to 3/n may be (Hanley & Lippman-Hand 1983), so TV is not said to be 1."""
    score = np.concatenate([np.linspace(-6, -4, 100), np.linspace(4, 6, 100)]).astype(np.float32)
    score[:wrong] = 5.0
    label, image = np.repeat([0, 1], 100).astype(np.uint8), np.tile(np.arange(100), 2)
    found = total_variation([calibrated_scores([Scores(score, label, image, np.zeros(200, np.uint8), image)])])
    assert found.found == pytest.approx(1 - wrong / 100)
    assert 0.9 < found.low < 1 - (3.0, 4.74)[wrong] / 100


@given(st.floats(0.0, 6.0), st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_more_distance_is_no_less_bound(d, seed):
    """The same draws, the fakes moved further away: TV achieved grows, and bounds stay in [0, 1] below it."""
    near, far = (calibrated_scores(gaussians(np.random.default_rng(seed), its, 100, 100, 1, 1)) for its in (d, d + 1.0))
    for found, _ in BOUNDS.values():
        closer, further = found([near]), found([far])
        assert closer.found <= further.found + 0.03
        assert 0.0 <= closer.low <= closer.found <= 1.0
        assert closer.low <= further.low + 0.03


@pytest.mark.parametrize("d", [0.0, 0.2, 1.0, 3.0, 6.0])
def test_the_best_auc_lies_in_the_sandwich(d):
    """1/2 + TV/2 <= AUC* <= 1 - (1 - TV)^2 / 2: the inequalities the bounds rest on, on laws known in full."""
    variation, auc = true_total_variation(d), true_auc(d)
    assert 0.5 + variation / 2 <= auc + 1e-12
    assert auc <= 1 - (1 - variation) ** 2 / 2 + 1e-12
    assert true_jensen_shannon(d) <= variation + 1e-9  # JSD <= TV bits
    assert variation**2 / 2 / np.log(2) <= true_jensen_shannon(d) + 1e-9  # Pinsker


def test_the_area_helps_where_little_is_to_be_seen():
    """Weak scores: decisions alone, with half of the error each, would often say 0 where the AUC says more."""
    rng = np.random.default_rng(3)
    draws = [calibrated_scores(gaussians(rng, 0.25, 2000, 2000, 1, 1)) for _ in range(20)]
    truth = true_total_variation(0.25)
    assert all(0 < total_variation([run]).low < truth * 1.02 for run in draws)


def test_judges_that_agree_are_no_more_images():
    """An image counts once however many judges saw it: three times the same judge is that judge."""
    one = gaussians(np.random.default_rng(4), 1.0, 100, 100, 1)
    for found, _ in BOUNDS.values():
        assert found([calibrated_scores(one * 3)]).low == pytest.approx(found([calibrated_scores(one)]).low, abs=1e-9)


def test_images_of_one_person_are_no_more_persons():
    judge = gaussians(np.random.default_rng(5), 1.0, 40, 40, 1, 1)[0]
    ids = np.concatenate([judge.image + 1000 * k for k in range(4)])
    copies = Scores(
        np.tile(judge.score, 4), np.tile(judge.label, 4), ids, np.tile(judge.fold, 4), np.tile(judge.image, 4)
    )
    for found, _ in BOUNDS.values():
        alone, copied = found([calibrated_scores([judge])]), found([calibrated_scores([copies])])
        assert copied.found == pytest.approx(alone.found, abs=0.03)
        assert copied.low == pytest.approx(alone.low, abs=0.08)
        assert found([calibrated_scores([copies._replace(source=ids)])]).low > copied.low + 0.05


def test_runs_that_differ_widen_the_bound():
    """Over runs the mean is bounded, with the runs' own spread: three generators say little of all."""
    rng = np.random.default_rng(6)
    alike = [calibrated_scores(gaussians(rng, 2.0, 200, 200)) for _ in range(3)]
    apart = [calibrated_scores(gaussians(rng, d, 200, 200)) for d in (1.0, 2.0, 3.5)]
    for found, _ in BOUNDS.values():
        assert found(apart).low < found(alike).low - 0.1
        assert found(alike).low < found(alike).found


def test_a_judge_whose_sign_is_wrong_shows_nothing():
    """Below 1/2 a fresh judge is unfit; that its contrary would tell is not to its credit."""
    judge = gaussians(np.random.default_rng(7), 2.0, 100, 100, 1)[0]
    wrong = calibrated_scores([judge._replace(score=-judge.score)])
    assert (total_variation([wrong]).low, jensen_shannon([wrong]).low) == (0.0, 0.0)
