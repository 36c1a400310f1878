import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from sklearn.ensemble import HistGradientBoostingClassifier

from arena.detectors.base import FittedDetector
from arena.detectors.techniques.forest import LEAF, Trees, residuals, statistics
from arena.imaging.images import on_levels
from tests.detectors.planted import build_a, clouds, fitted, noise

# Order of the columns: four moments, two shares, then eight of each residual, then three correlations of colours.
MEAN, DEVIATION, SKEWNESS, KURTOSIS, BLACK, WHITE, FIRST = range(7)


def test_statistics_of_four_by_four_pixels_by_hand():
    ink = torch.tensor([[0, 0, 16, 16], [0, 1, 3, 16], [2, 2, 2, 2], [5, 4, 3, 2]], dtype=torch.float64)
    computed = statistics((ink / 8 - 1)[None, None].float(), 17)[0].numpy()
    pixels = ink.numpy().ravel()
    assert len(computed) == 6 + 8 * 5
    assert computed[MEAN] == pytest.approx(74 / 16)
    assert computed[DEVIATION] == pytest.approx(pixels.std())
    assert computed[SKEWNESS] == pytest.approx(scipy.stats.skew(pixels), rel=1e-2)
    assert computed[KURTOSIS] == pytest.approx(scipy.stats.kurtosis(pixels, fisher=False), rel=1e-2)
    assert computed[BLACK] == pytest.approx(3 / 16)
    assert computed[WHITE] == pytest.approx(3 / 16)
    # The first residual, right minus centre, over the inner 2x2: [[2, 13], [0, 0]].
    deviation, kurtosis, neighbours, *shares = computed[FIRST : FIRST + 8]
    residual = np.array([2.0, 13.0, 0.0, 0.0])
    assert deviation == pytest.approx(residual.std())
    assert kurtosis == pytest.approx(scipy.stats.kurtosis(residual, fisher=False), rel=1e-2)
    assert neighbours == pytest.approx((2 * 13 + 0) / 2 / residual.var(), rel=1e-4)
    assert shares == pytest.approx([0, 0, 0.5, 0, 0.5])  # 2 and 13 are both cut off at 2


# Kernels of the spatial rich model (Fridrich & Kodovsky 2012, figure 2): 1a and 2a along either axis, and SQUARE 3x3.
KERNELS = (
    ((0, 0, 0), (0, -1, 1), (0, 0, 0)),
    ((0, 0, 0), (0, -1, 0), (0, 1, 0)),
    ((0, 0, 0), (1, -2, 1), (0, 0, 0)),
    ((0, 1, 0), (0, -2, 0), (0, 1, 0)),
    ((-1, 2, -1), (2, -4, 2), (-1, 2, -1)),
)


def test_residuals_are_those_of_the_rich_models():
    pixels = torch.randint(0, 256, (2, 3, 8, 9), generator=torch.Generator().manual_seed(0)).double()
    kernels = torch.tensor(KERNELS).double()[:, None]
    expected = F.conv2d(pixels.flatten(0, 1)[:, None], kernels).unflatten(0, (2, 3)).unbind(2)
    for computed, convolved in zip(residuals(pixels), expected, strict=True):
        assert torch.equal(computed, convolved)


def test_colour_averages_the_channels_and_adds_their_correlations():
    grey = on_levels(noise(4, 1, 8, 8), 256)
    one, three = statistics(grey, 256), statistics(torch.cat([grey, grey, -grey], 1), 256)
    assert three.shape[1] == one.shape[1] + 3
    torch.testing.assert_close(
        three[:, -3:], torch.tensor([[1.0, -1.0, -1.0]]).double().expand(4, 3), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(three[:, DEVIATION], one[:, DEVIATION])


def test_its_features_are_the_statistics_of_its_levels():
    images = on_levels(noise(4, 1, 8, 8), 17)
    assert torch.equal(build_a(FittedDetector, "forest").features(images), statistics(images, 17))


def boosted(trees=40, leaves=8, patience=15):
    return Trees(trees=trees, leaves=leaves, learning_rate=0.1, patience=patience)


@pytest.mark.parametrize("fakes", [0.5, 0.2])
@pytest.mark.parametrize("leaves", [2, 8])
def test_walking_the_trees_is_scikit_learns_decision_function(fakes, leaves):
    train, validation, test = clouds(600, 6, 0, fakes), clouds(300, 6, 1), clouds(200, 6, 2)
    mine = fitted(boosted(leaves=leaves), train, validation, seed=3)
    theirs = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=leaves,
        learning_rate=0.1,
        early_stopping=True,  # type: ignore[arg-type]  # typed after its default
        n_iter_no_change=15,
        random_state=3,
    ).fit(train.features.numpy(), train.labels.numpy(), X_val=validation.features.numpy(), y_val=validation.labels)
    assert theirs.n_iter_ > 5
    # The prior of the training set is taken out again.
    expected = theirs.decision_function(test.features.numpy()) - np.log(fakes / (1 - fakes))
    np.testing.assert_allclose(mine(test.features), expected, rtol=1e-6, atol=1e-6)


def test_more_trees_than_it_grew_add_nothing():
    train, validation, test = clouds(300, 6, 0), clouds(300, 6, 1), clouds(200, 6, 2)
    logits = []
    for trees in (300, 400):
        mine = fitted(boosted(trees, leaves=4, patience=2), train, validation)
        grown = int((mine.nodes[:, 0, LEAF] == 0).sum())
        assert 2 < grown < 300
        logits.append(mine(test.features))
    assert torch.equal(*logits)


def test_a_value_on_the_threshold_goes_left_as_in_scikit_learn():
    one = boosted(trees=1, leaves=2)
    # Columns: feature, threshold, left, right, value, leaf.
    one.nodes.copy_(torch.tensor([[[1, 8.0, 1, 2, 0, 0], [0, 0, 0, 0, -1.0, 1], [0, 0, 0, 0, 1.0, 1]]]))
    assert one(torch.tensor([[0.0, 8.0], [0.0, 8.5]])).tolist() == [-1.0, 1.0]
