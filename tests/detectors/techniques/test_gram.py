import numpy as np
import pytest
import torch
from torch import nn

from arena.detectors.techniques.gram import Gram, GramBranch, gram_matrix
from tests.detectors.planted import build_a


def test_the_matrix_is_that_of_the_paper():
    features = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    expected = np.einsum("bchw,bdhw->bcd", *[features.double().numpy()] * 2) / (5 * 6 * 7)
    np.testing.assert_allclose(gram_matrix(features), expected, atol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(gram_matrix(features), gram_matrix(features.clone()))
        np.testing.assert_allclose(gram_matrix(features), expected, atol=1e-6)


def test_the_matrix_does_not_depend_on_the_place_of_a_texture():
    features = torch.randn(2, 5, 6, 6)
    shuffled = features.flatten(2)[..., torch.randperm(36)].view_as(features)
    torch.testing.assert_close(gram_matrix(features), gram_matrix(shuffled))


@pytest.mark.parametrize(("side", "branches"), [(8, 3), (32, 5), (64, 6)])
def test_a_branch_for_the_image_and_every_map_but_the_last(side, branches):
    detector = build_a(Gram, "gram", side, 3, 256)
    assert len(detector.branches) == branches
    summary = detector.summary(torch.rand(2, 3, side, side))
    assert summary.shape == (2, detector.trunk.widths[-1] + 32 * branches)


def test_the_scale_weighs_the_branches_alone():
    detector = build_a(Gram, "gram", 16, 3, 256).eval()
    images = torch.rand(2, 3, 16, 16)
    before, last = detector.summary(images), detector.trunk.widths[-1]
    with torch.no_grad():
        detector.scale.fill_(2.0)
    after = detector.summary(images)
    assert torch.equal(after[:, :last], before[:, :last])
    torch.testing.assert_close(after[:, last:], 2 * before[:, last:])


def test_at_its_published_size_it_has_six_branches_and_704_features():
    pytest.importorskip("transformers")
    detector = build_a(Gram, "paper/gram", 64, 3, 256).eval()
    sides = [branch for branch in detector.branches if isinstance(branch, GramBranch)]
    with torch.no_grad():
        assert detector.summary(torch.zeros(2, 3, 32, 32)).shape == (2, 704)
        assert gram_matrix(sides[5].before(torch.zeros(2, 256, 4, 4))).shape == (2, 32, 32)
    first = [next(layer for layer in branch.modules() if isinstance(layer, nn.Conv2d)) for branch in sides]
    assert [layer.in_channels for layer in first] == [3, 64, 64, 64, 128, 256]
    assert detector.trunk.widths[-1] == 512
    layer = detector.head[0]
    assert isinstance(layer, nn.Linear)
    assert (layer.in_features, layer.out_features) == (704, 512)
