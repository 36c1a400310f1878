import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from arena.core.errors import ArenaError
from arena.detectors.gallery import score
from arena.detectors.networks.small import NatarajNetwork
from arena.detectors.techniques.cooccurrence import cooccurrences
from arena.detectors.techniques.cooccurrence_cnn import CooccurrenceCnn
from tests.detectors.planted import EVIDENCE, build, digits, train


def small(bins=8, channels=1, levels=17, resolution=8):
    return CooccurrenceCnn(
        bins=bins, network=NatarajNetwork, resolution=resolution, channels=channels, levels=levels, learning_rate=1e-3
    )


def test_at_256_bins_every_grey_level_has_its_own_as_the_authors_count():
    levels = torch.randint(0, 256, (1, 3, 12, 12), generator=torch.Generator().manual_seed(0))
    found = cooccurrences(levels / 127.5 - 1, 256)[0]
    for histogram, channel in zip(found, levels[0].numpy(), strict=False):
        expected = np.zeros((256, 256))
        np.add.at(expected, (channel[:, :-1].ravel(), channel[:, 1:].ravel()), 1 / 132)
        np.testing.assert_allclose(histogram, expected, atol=1e-6)


def test_at_its_published_size_it_sees_six_matrices_of_256_by_256():
    detector = build("paper/cooccurrence", 64, 3, 256)
    seen = []
    detector.get_submodule("network").register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    detector(torch.zeros(1, 3, 64, 64))
    assert seen[0].shape == (1, 6, 256, 256)
    assert seen[0].sum((2, 3)).flatten().tolist() == pytest.approx([256.0] * 6)


def test_it_learns_a_checkerboard():
    learned, validation, test = digits("cooccurrence")
    torch.manual_seed(0)
    detector = small()
    train(detector, learned, validation)
    assert roc_auc_score(test.labels, score(detector, test.images, EVIDENCE)) > 0.9


@pytest.mark.parametrize("bins", [7, 257])
def test_an_impossible_number_of_bins_names_its_key(bins):
    with pytest.raises(ArenaError, match=f"bins={bins}: expected 8 to 256"):
        small(bins)
