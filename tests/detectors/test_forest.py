import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F
from sklearn.ensemble import HistGradientBoostingClassifier

from arena.detectors.detector import Examples
from arena.detectors.forest import BLOCK, LEAF, Forest, residuals, statistics
from arena.images import on_levels, to_float
from tests.detectors.planted import digits

# Order of the columns: four moments, two shares, then eight of each residual, then three correlations of colours.
MEAN, DEVIATION, SKEWNESS, KURTOSIS, BLACK, WHITE, FIRST = range(7)


def forest(trees=40, leaves=8):
    return Forest(resolution=8, channels=1, levels=17, trees=trees, leaves=leaves, learning_rate=0.1, patience=15)


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("leaves", [2, 8])
def test_walking_the_trees_is_scikit_learns_decision_function(balanced, leaves):
    cut = 0 if balanced else 300
    learned, validation, test = (Examples(part.images[cut:], part.labels[cut:]) for part in digits("forest"))
    if not balanced:
        validation, test = digits("forest")[1:]
    mine = forest(leaves=leaves)
    mine.fit(to_float(learned.images), learned, (to_float(validation.images), validation), seed=3)
    x, x_validation, x_test = (statistics(to_float(part.images), 17).numpy() for part in (learned, validation, test))
    theirs = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=leaves,
        learning_rate=0.1,
        early_stopping=True,  # type: ignore[arg-type]  # typed after its default
        n_iter_no_change=15,
        random_state=3,
    ).fit(x, learned.labels.numpy(), X_val=x_validation, y_val=validation.labels.numpy())
    share = learned.labels.double().mean().item()
    expected = theirs.decision_function(x_test) - np.log(share / (1 - share))
    assert theirs.n_iter_ > 5
    np.testing.assert_allclose(mine(to_float(test.images)), expected, rtol=1e-6, atol=1e-6)


def test_more_trees_than_it_grew_add_nothing():
    learned, validation, test = digits("forest")
    logits = []
    for trees in (300, 400):
        mine = forest(trees=trees, leaves=4)
        mine.patience = 2
        mine.fit(to_float(learned.images), learned, (to_float(validation.images), validation), seed=0)
        grown = int((mine.nodes[:, 0, LEAF] == 0).sum())
        assert 2 < grown < 300
        logits.append(mine(to_float(test.images)))
    assert torch.equal(*logits)


def test_a_value_on_the_threshold_goes_left_as_in_scikit_learn():
    one = forest(trees=1, leaves=2)
    # Columns: feature, threshold, left, right, value, leaf.
    one.nodes.copy_(torch.tensor([[[MEAN, 8.0, 1, 2, 0, 0], [0, 0, 0, 0, -1.0, 1], [0, 0, 0, 0, 1.0, 1]]]))
    flat = torch.tensor([0.0, 0.125]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8)  # ink 8 and ink 9
    assert one(flat).tolist() == [-1.0, 1.0]


def test_before_it_learned_it_prefers_neither_class():
    assert torch.equal(forest()(torch.rand(3, 1, 8, 8)), torch.zeros(3))


def test_statistics_of_four_by_four_pixels_by_hand():
    ink = torch.tensor([[0, 0, 16, 16], [0, 1, 3, 16], [2, 2, 2, 2], [5, 4, 3, 2]], dtype=torch.float64)
    found = statistics((ink / 8 - 1)[None, None].float(), 17)[0].numpy()
    pixels = ink.numpy().ravel()
    assert len(found) == 6 + 8 * 5
    assert found[MEAN] == pytest.approx(74 / 16)
    assert found[DEVIATION] == pytest.approx(pixels.std())
    assert found[SKEWNESS] == pytest.approx(scipy.stats.skew(pixels), rel=1e-2)
    assert found[KURTOSIS] == pytest.approx(scipy.stats.kurtosis(pixels, fisher=False), rel=1e-2)
    assert found[BLACK] == pytest.approx(3 / 16)
    assert found[WHITE] == pytest.approx(3 / 16)
    # The first residual, right minus centre, over the inner 2x2: [[2, 13], [0, 0]].
    deviation, kurtosis, neighbours, *shares = found[FIRST : FIRST + 8]
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
    for found, convolved in zip(residuals(pixels), expected, strict=True):
        assert torch.equal(found, convolved)


def test_statistics_are_those_of_each_image_alone():
    images = on_levels(torch.rand(2 * BLOCK + 1, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1, 256)
    torch.testing.assert_close(
        statistics(images, 256), torch.cat([statistics(image[None], 256) for image in images]), rtol=1e-12, atol=1e-12
    )


def test_colour_averages_the_channels_and_adds_their_correlations():
    grey = on_levels(torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1, 256)
    one, three = statistics(grey, 256), statistics(torch.cat([grey, grey, -grey], 1), 256)
    assert three.shape[1] == one.shape[1] + 3
    torch.testing.assert_close(
        three[:, -3:], torch.tensor([[1.0, -1.0, -1.0]]).double().expand(4, 3), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(three[:, DEVIATION], one[:, DEVIATION])


def test_a_flat_image_has_finite_statistics():
    for value in (-1.0, 0.0, 1.0):
        assert statistics(torch.full((1, 3, 8, 8), value), 17).isfinite().all()
