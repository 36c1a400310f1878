import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from arena.answer.limit.divergence import calibrated_scores, platt
from arena.records.schema import Scores
from tests.answer.limit.gaussians import gaussians
from tests.metrics.test_roc import scores_of


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
    first = order[(before.half == 0) & (before.images.fold == 0)]
    score[first] = np.random.default_rng(2).permutation(score[first])
    after = calibrated_scores([judge._replace(score=score)])
    here = (before.half == 0) & (before.images.fold == 0)
    other = (before.half == 1) & (before.images.fold == 0)
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
        assert len(np.unique(found.half[reals & (found.images.source == person)])) == 1


def test_the_order_of_the_images_does_not_matter():
    judges = gaussians(np.random.default_rng(5), 1.0, 60, 60)
    order = np.random.default_rng(6).permutation(120)
    score, label, image, fold, source = judges[1]
    shuffled = Scores(score[order], label[order], image[order], fold[order], source[order])
    assert np.array_equal(
        calibrated_scores(judges).evidence, calibrated_scores([judges[0], shuffled, judges[2]]).evidence
    )


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
