import pytest
import torch
import torch.nn.functional as F

from arena.detectors.techniques.ladeda import LaDeDa
from tests.detectors.planted import auc_on_textures, build_a, noise


def ladeda(resolution=32, channels=3, **keys):
    return LaDeDa(resolution=resolution, channels=channels, levels=256, **({"width": 8, "depths": [1, 1]} | keys))


@pytest.mark.parametrize("depths", [[1, 1], [2, 3, 1, 2]])
def test_a_place_sees_nine_pixels(depths):
    detector = ladeda(depths=depths).eval()
    images = noise(1, 3, 32, 32).requires_grad_()
    logits = detector.patch_logits(images)
    side = round(logits.shape[1] ** 0.5)
    place = side // 2
    (gradient,) = torch.autograd.grad(logits[0, place * side + place], images)
    seen = gradient[0].abs().sum((0, 1)).nonzero()
    # Nine differences, the first of which is to the pixel before where a 2x2 square is cut.
    assert seen.max() - seen.min() in (8, 9)


def test_a_score_is_the_mean_of_the_scores_of_its_patches():
    detector, image = ladeda().eval(), noise(1, 3, 32, 32)
    corners = [image[..., top : top + 10, left : left + 10] for top in range(0, 24, 4) for left in range(0, 24, 4)]
    alone = torch.cat([detector.logits(corner) for corner in corners])  # one patch of 9 pixels each
    torch.testing.assert_close(detector.patch_logits(image)[0], alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(detector(image), alone.mean()[None], rtol=1e-4, atol=1e-5)


def test_an_image_smaller_than_a_patch_is_one_patch():
    assert ladeda(8, 1).patch_logits(noise(2, 1, 8, 8)).shape == (2, 1)


def test_doubled_pixels_have_no_differences_and_all_one_score():
    detector = build_a(LaDeDa, "ladeda", 32, 3, 256).eval()
    doubled = F.interpolate(noise(4, 3, 16, 16), scale_factor=2, mode="nearest")
    assert detector(doubled).std() < 1e-6
    assert detector(noise(4, 3, 32, 32)).std() > 1e-6


def test_at_its_published_size_it_has_the_stages_of_a_resnet_50():
    with torch.device("meta"):
        detector = build_a(LaDeDa, "paper/ladeda", 224, 3, 256)
    assert detector.head.in_channels == 2048
    blocks = [layer for layer in detector.layers if hasattr(layer, "skip")]
    assert len(blocks) == 3 + 4 + 6 + 3


@pytest.mark.slow
def test_it_catches_a_spectral_peak():
    assert auc_on_textures("ladeda", "spectral_peak") > 0.9


@pytest.mark.slow
def test_it_reads_one_half_on_real_images_called_fake():
    assert 0.4 < auc_on_textures("ladeda", None) < 0.6
