import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn.linear_model import LogisticRegression

from arena.answer.divergence import calibrated_scores, jensen_shannon, platt, total_variation
from arena.records.schema import Scores
from tests.answer.gaussians import gaussians, true_jensen_shannon, true_total_variation
from tests.metrics.scores import scores_of

BOUNDS = {"total_variation": (total_variation, true_total_variation), "bits": (jensen_shannon, true_jensen_shannon)}


@pytest.mark.slow
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
    assert found.value == pytest.approx(1 - wrong / 100)
    assert 0.9 < found.low < 1 - (3.0, 4.74)[wrong] / 100


@given(st.floats(0.0, 6.0), st.integers(0, 10_000))
@settings(max_examples=12, deadline=None)
def test_more_distance_is_no_less_bound(d, seed):
    """The same draws, the fakes moved further away: TV achieved grows, and bounds stay in [0, 1] below it."""
    near, far = (calibrated_scores(gaussians(np.random.default_rng(seed), its, 100, 100, 1, 1)) for its in (d, d + 1.0))
    for found, _ in BOUNDS.values():
        closer, further = found([near]), found([far])
        assert closer.value <= further.value + 0.03
        assert 0.0 <= closer.low <= closer.value <= 1.0
        assert closer.low <= further.low + 0.03


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
        assert copied.value == pytest.approx(alone.value, abs=0.03)
        assert copied.low == pytest.approx(alone.low, abs=0.08)
        assert found([calibrated_scores([copies._replace(source=ids)])]).low > copied.low + 0.05


def test_runs_that_differ_widen_the_bound():
    """Over runs the mean is bounded, with the runs' own spread: three generators say little of all."""
    rng = np.random.default_rng(6)
    alike = [calibrated_scores(gaussians(rng, 2.0, 200, 200)) for _ in range(3)]
    apart = [calibrated_scores(gaussians(rng, d, 200, 200)) for d in (1.0, 2.0, 3.5)]
    for found, _ in BOUNDS.values():
        assert found(apart).low < found(alike).low - 0.1
        assert found(alike).low < found(alike).value


def test_a_judge_whose_sign_is_wrong_shows_nothing():
    """Below 1/2 a fresh judge is unfit; that its contrary would tell is not to its credit."""
    judge = gaussians(np.random.default_rng(7), 2.0, 100, 100, 1)[0]
    wrong = calibrated_scores([judge._replace(score=-judge.score)])
    assert (total_variation([wrong]).low, jensen_shannon([wrong]).low) == (0.0, 0.0)


def test_platt_finds_the_log_likelihood_ratio_of_two_gaussians():
    """It is d x - d^2 / 2 whatever the shares of the classes; scores on another scale come back to it."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=20_000), rng.normal(1.5, 1, size=60_000)])
    slope, offset = platt(7 * x - 3, np.repeat([0, 1], [20_000, 60_000]))
    assert 7 * slope == pytest.approx(1.5, abs=0.03)
    assert offset - 3 * slope == pytest.approx(-1.125, abs=0.03)


@given(st.floats(0.0, 3.0), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_platt_is_logistic_regression_on_softened_labels(d, seed):
    rng = np.random.default_rng(seed)
    x, label = np.concatenate([rng.normal(size=40), rng.normal(d, 1, size=60)]), np.repeat([0, 1], [40, 60])
    soft = np.where(label == 1, 61 / 62, 1 / 42)
    weight = np.where(label == 1, 1 / 60, 1 / 40)
    regression = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    twice = np.concatenate([weight * soft, weight * (1 - soft)])
    regression.fit(np.tile(x, 2)[:, None], np.repeat([1, 0], 100), sample_weight=twice)
    expected = float(regression.coef_[0, 0])
    assert platt(x, label)[0] == pytest.approx(max(0.0, expected), rel=1e-3, abs=1e-3)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (np.repeat([3.0, 3.0], 10), (0.0, 0.0)),  # says nothing
        (np.repeat([1.0, -1.0], 10), (0.0, 0.0)),  # contradicted by the labels: not turned round
    ],
)
def test_what_carries_nothing_is_worth_nothing(score, expected):
    assert platt(score, np.repeat([0, 1], 10)) == expected


@pytest.mark.parametrize("gap", [1.0, 1e6])
def test_a_perfect_score_stays_finite(gap):
    score = np.concatenate([np.linspace(0, 1, 50), gap + np.linspace(1, 2, 50)])
    slope, offset = platt(score, np.repeat([0, 1], 50))
    assert np.isfinite([slope, offset]).all()
    assert slope > 0


def test_an_image_has_no_say_in_its_own_evidence():
    """Half a fold is calibrated on the other half alone: change it, and its own calibration does not change."""
    judge = gaussians(np.random.default_rng(1), 1.0, 60, 60)[0]
    before = calibrated_scores([judge])
    score = judge.score.copy()
    order = np.lexsort((judge.image, judge.label))
    first = order[(before.half[0] == 0) & (before.images.fold == 0)]
    score[first] = np.random.default_rng(2).permutation(score[first])
    after = calibrated_scores([judge._replace(score=score)])
    here = (before.half[0] == 0) & (before.images.fold == 0)
    other = (before.half[0] == 1) & (before.images.fold == 0)
    assert np.allclose(np.sort(before.evidence[:, here]), np.sort(after.evidence[:, here]))  # permuted, no more
    assert not np.allclose(before.evidence[:, other], after.evidence[:, other])
    assert np.array_equal(before.evidence[:, before.images.fold > 0], after.evidence[:, before.images.fold > 0])


def test_no_evidence_beyond_what_its_calibration_supports():
    found = calibrated_scores(gaussians(np.random.default_rng(3), 8.0, 90, 200))
    assert (np.abs(found.evidence) <= found.most).all()
    assert found.most.max() <= np.log(16)  # of 90 reals 15 in half a fold


def test_images_of_one_source_stay_in_one_half():
    judge = gaussians(np.random.default_rng(4), 1.0, 90, 90, folds=1)[0]
    persons = np.where(judge.label == 0, judge.image // 5, judge.image)
    found = calibrated_scores([judge._replace(source=persons)])
    reals = found.images.label == 0
    for person in np.unique(found.images.source[reals]):
        assert len(np.unique(found.half[0, reals & (found.images.source == person)])) == 1


def test_the_order_of_the_images_does_not_matter():
    judges = gaussians(np.random.default_rng(5), 1.0, 60, 60)
    shuffled = [judges[0], judges[1].take(np.random.default_rng(6).permutation(120)), judges[2]]
    assert np.array_equal(calibrated_scores(judges).evidence, calibrated_scores(shuffled).evidence)


@pytest.mark.parametrize(
    ("judges", "what"),
    [
        ([scores_of([0, np.nan] * 10, [1, 2] * 10)], "finite"),
        ([scores_of([0, 1] * 10, [1, 2] * 10), scores_of([0, 1] * 11, [1, 2] * 10)], "different images"),
        ([scores_of([0, 1, 2], [1, 2] * 10)], "fold 0: too few images, expected 8 of each class or more"),
    ],
)
def test_bad_scores_are_refused(judges, what):
    with pytest.raises(ValueError, match=what):
        calibrated_scores(judges)


def test_judges_with_folds_of_their_own_are_averaged():
    """Other folds are another dealing of the same images: for the same scores the bounds hardly move."""
    rng = np.random.default_rng(8)
    (judge,) = gaussians(rng, 1.0, 300, 300, 1)
    fold = judge.fold.copy()
    for label in (0, 1):
        fold[judge.label == label] = rng.permutation(fold[judge.label == label])
    for found, _ in BOUNDS.values():
        alone, together = (found([calibrated_scores(both)]) for both in ([judge], [judge, judge._replace(fold=fold)]))
        assert together.value == pytest.approx(alone.value, abs=0.05)
        assert together.low == pytest.approx(alone.low, abs=0.06)
