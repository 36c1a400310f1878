import numpy as np
import pytest
import scipy.fft
import torch

from arena.detectors.shared import sharing
from arena.detectors.techniques.colour import luma_chroma
from arena.detectors.techniques.dctr import Dctr, histograms
from arena.imaging.images import on_levels


def dctr(channels=1, step=4.0):
    return Dctr(resolution=20, channels=channels, levels=256, step=step)


def pictures(n=2, channels=1, side=20):
    return on_levels(torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(0)).mul(0.1), 256)


def by_hand(pixels, step):
    """Shares (25, 64, 5), block by block at every place, by scipy's transform."""
    counts = np.zeros((5, 5, 64, 5))
    for top in range(pixels.shape[0] - 7):
        for left in range(pixels.shape[1] - 7):
            block = np.asarray(scipy.fft.dctn(pixels[top : top + 8, left : left + 8], norm="ortho")).ravel()
            magnitude = np.minimum(np.rint(np.abs(block) / step), 4).astype(int)
            phase = [min(place % 8, 8 - place % 8) for place in (top, left)]
            counts[phase[0], phase[1], np.arange(64), magnitude] += 1
    return counts.reshape(25, 64, 5) / counts.reshape(25, 64, 5).sum(-1, keepdims=True)


@pytest.mark.parametrize("step", [2.0, 4.0])
def test_its_histograms_are_counted_block_by_block(step):
    pixels = ((pictures(side=23) + 1)[:, 0] * 127.5).round()
    expected = np.stack([by_hand(image, step) for image in pixels.double().numpy()])
    # The patterns are rounded to 2**-12, so that a coefficient near the edge of a bin may fall on its other side.
    assert np.abs(histograms(pixels, step).numpy() - expected).mean() < 5e-3


def test_it_has_the_authors_8000_features_each_the_root_of_a_share():
    features = dctr().features(pictures())
    assert features.shape == (2, 64 * 25 * 5)
    torch.testing.assert_close(features.square().reshape(2, 25, 64, 5).sum(-1), torch.ones(2, 25, 64))


def test_a_period_of_eight_pixels_shows_at_its_place_alone():
    pixels = torch.zeros(1, 32, 32)
    pixels[:, ::8, ::8] = 255.0
    by_place = histograms(pixels, 4.0).reshape(5, 5, 64, 5)
    assert not torch.equal(by_place[0, 0], by_place[1, 1])
    assert not torch.equal(by_place[1, 2], by_place[2, 1])
    assert torch.equal(histograms(pixels.mT, 4.0), histograms(pixels, 4.0))


def test_of_colour_images_it_takes_the_luma():
    one = pictures()
    assert torch.equal(dctr(3).features(one.expand(-1, 3, -1, -1)), dctr().features(one))


def test_other_techniques_on_the_same_batch_keep_their_gradient():
    images = pictures(channels=3).requires_grad_()
    with sharing(images):
        assert not dctr(3).features(images).requires_grad
        assert luma_chroma(images, 256).requires_grad


def test_where_a_class_of_places_has_no_block_its_shares_are_zero():
    computed = histograms(((pictures(side=8)[:, 0] + 1) * 127.5).round(), 4.0)
    assert computed[:, 0].sum() == 2 * 64
    assert (computed[:, 1:] == 0).all()
