import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from arena.core.errors import DoesNotApply
from arena.detectors.techniques.patchcraft import PatchCraft, diversity
from arena.detectors.techniques.srm import rich_residuals
from arena.imaging.images import on_levels
from tests.detectors.planted import auc_on_textures, build, build_a, config, noise


def patchcraft(resolution=32, channels=3, levels=256):
    return build_a(PatchCraft, "patchcraft", resolution, channels, levels)


@pytest.mark.parametrize("channels", [1, 3])
def test_diversity_is_the_sum_of_numpys_differences_in_four_directions(channels):
    images = on_levels(noise(2, channels, 20, 20), 256)
    computed = diversity(images, 8, 4)
    assert computed.shape == (2, 4, 4)
    patch = images[1, :, 8:16, 4:12].double().numpy()
    expected = sum(
        np.abs(difference).sum()
        for difference in (
            np.diff(patch, axis=1),
            np.diff(patch, axis=2),
            patch[:, 1:, 1:] - patch[:, :-1, :-1],
            patch[:, 1:, :-1] - patch[:, :-1, 1:],
        )
    )
    assert float(computed[1, 2, 1]) / 2040 == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("levels", [17, 256])
def test_diversity_is_a_whole_number_so_that_no_order_depends_on_the_batch(levels):
    images = on_levels(noise(4, 3, 32, 32), levels)
    computed = diversity(images, 8, 4)
    assert torch.equal(computed, computed.round())
    assert (computed % (2 * 2040 / (levels - 1)) == 0).all()


def test_the_rich_mosaic_has_the_texture_and_the_poor_one_has_not():
    smooth = torch.linspace(-1, 1, 32).expand(1, 1, 32, 32).clone()
    smooth[..., 18:, 18:] = noise(1, 1, 14, 14)
    rich, poor = patchcraft(channels=1).mosaics(on_levels(smooth, 256))
    assert rich.shape == poor.shape == (1, 30, 24, 24)
    assert rich.abs().mean() > 2 * poor.abs().mean()


def test_a_mosaic_is_made_of_patches_of_residuals_in_the_order_of_their_texture():
    images, detector = on_levels(noise(1, 3, 32, 32), 256), patchcraft()
    residuals = (rich_residuals(images, 256) / 5).clamp(-1, 1)[0]
    texture = diversity(images[..., 2:-2, 2:-2], 8, 4)[0]
    order = texture.flatten().argsort(stable=True).tolist()
    rich, poor = (mosaic[0] for mosaic in detector.mosaics(images))
    for mosaic, places in ((poor, order), (rich, order[::-1])):
        for k in (0, 1, 8):
            row, column = divmod(places[k], texture.shape[1])
            patch = residuals[:, 4 * row : 4 * row + 8, 4 * column : 4 * column + 8]
            down, across = divmod(k, 3)
            assert torch.equal(mosaic[:, 8 * down : 8 * down + 8, 8 * across : 8 * across + 8], patch)


@pytest.mark.parametrize(("side", "patch", "tiles"), [(32, 8, 3), (64, 16, 3), (256, 32, 8)])
def test_a_crop_of_256_pixels_has_the_authors_64_patches_of_32_pixels(side, patch, tiles):
    with torch.device("meta"):
        factory = instantiate(config("patchcraft"), crop=256, _convert_="all")
        detector = factory(resolution=side, channels=3, levels=256)
    assert (detector.patch, detector.tiles) == (patch, tiles)


def test_a_flat_image_has_no_contrast_whatever_its_brightness():
    detector = patchcraft().eval()
    flat = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 32, 32)
    assert detector(flat).std() == 0


def test_small_images_have_too_few_patches():
    with pytest.raises(DoesNotApply, match="needs 32 pixels a side"):
        build("patchcraft", 16, 3, 256)


@pytest.mark.slow
def test_it_catches_a_checkerboard():
    assert auc_on_textures("patchcraft", "checkerboard") > 0.9


@pytest.mark.slow
def test_it_reads_one_half_on_real_images_called_fake():
    assert 0.4 < auc_on_textures("patchcraft", None) < 0.6
