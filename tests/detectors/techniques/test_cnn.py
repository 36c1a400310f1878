from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from torch import nn

from arena.detectors.networks.wrappers import Trunk
from arena.detectors.techniques.cnn import Cnn, DetectorAugmentation
from arena.detectors.techniques.nodown import NoDown
from arena.imaging.images import on_levels, to_float, to_uint8
from tests.detectors.planted import build, build_a, noise


def images(n=64, channels=3, side=16, levels=256):
    return on_levels(noise(n, channels, side, side), levels)


def altered(batch, levels=256, seed=0, **settings):
    augmentation = DetectorAugmentation(levels, **({"blur": 0.0, "jpeg": 0.0, "mirror": False} | settings))
    return augmentation(batch, torch.Generator().manual_seed(seed))


def drawn(n, seed=0):
    return torch.rand(2, 4, n, generator=torch.Generator().manual_seed(seed))


def test_images_that_are_not_drawn_stay_bit_for_bit():
    batch = images()
    assert torch.equal(altered(batch), batch)
    few = altered(images(400), blur=0.1, jpeg=0.1)
    share = float((few != images(400)).flatten(1).any(1).float().mean())
    assert share == pytest.approx(1 - 0.9**2, abs=0.06)


@pytest.mark.parametrize("side", [8, 16])
def test_the_blur_is_scipys(side):
    batch = images(12, side=side)
    deviations = 3 * drawn(12)[1, 0]
    expected = [
        gaussian_filter(image, (0, s, s), mode="nearest", radius=(0, 12, 12))
        for image, s in zip(batch.double().numpy(), deviations.tolist(), strict=True)
    ]
    blurred = altered(batch, blur=1.0)
    assert (blurred - torch.from_numpy(np.stack(expected))).abs().max() <= 1.01 / 255
    assert torch.equal(blurred, to_float(to_uint8(blurred)))


def test_a_blur_of_no_width_changes_nothing(monkeypatch):
    monkeypatch.setattr("arena.detectors.techniques.cnn.STRONGEST_BLUR", 0.0)
    torch.testing.assert_close(altered(images(), blur=1.0), images(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_jpeg_is_pillows_at_qualities_of_30_to_100(channels):
    batch = images(200, channels)
    qualities = 30 + (drawn(200)[1, 1] * 71).long()
    assert {int(qualities.min()), int(qualities.max())} <= {30, 31, 99, 100}
    coded = to_uint8(altered(batch, jpeg=1.0))
    for k in range(0, 200, 25):
        buffer = BytesIO()
        pixels = to_uint8(batch[k]).permute(1, 2, 0).numpy().squeeze()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(qualities[k]))
        expected = np.asarray(Image.open(buffer)).reshape(16, 16, channels)
        assert np.array_equal(coded[k].permute(1, 2, 0).numpy(), expected)


def test_jpeg_comes_after_the_blur():
    blurred = altered(images(), blur=1.0)
    assert torch.equal(altered(images(), blur=1.0, jpeg=1.0), altered(blurred, jpeg=1.0))


@pytest.mark.parametrize("settings", [{"blur": 1.0}, {"jpeg": 1.0}, {"blur": 1.0, "jpeg": 1.0}], ids=str)
def test_images_of_few_grey_levels_keep_them(settings):
    batch = images(channels=1, side=8, levels=17)
    changed = altered(batch, levels=17, **settings)
    assert torch.equal(changed, on_levels(changed, 17))
    assert not torch.equal(changed, batch)


def test_half_are_mirrored_and_turns_are_all_alike():
    batch = images(400, side=8)
    mirrored = altered(batch, mirror=True)
    flipped = torch.tensor([torch.equal(one, other.flip(-1)) for one, other in zip(mirrored, batch, strict=True)])
    assert float(flipped.float().mean()) == pytest.approx(0.5, abs=0.08)
    assert torch.equal(mirrored[~flipped], batch[~flipped])
    turned = altered(batch, turn=True)
    for quarters in range(4):
        same = [torch.equal(one, other.rot90(quarters, (-2, -1))) for one, other in zip(turned, batch, strict=True)]
        assert np.mean(same) == pytest.approx(0.25, abs=0.08)


def test_it_draws_from_its_generator_alone_and_does_not_change_its_input():
    settings = {"blur": 0.5, "jpeg": 0.5, "mirror": True, "turn": True}
    batch, before = images(), torch.random.get_rng_state()
    first = altered(batch, **settings)
    assert torch.equal(batch, images())
    assert torch.equal(altered(batch, **settings), first)
    assert not torch.equal(altered(batch, seed=1, **settings), first)
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(altered(batch, **settings), first)
    assert torch.equal(altered(batch.contiguous(memory_format=torch.channels_last), **settings), first)


class Brightness(nn.Module):
    """A network whose logit is the mean pixel."""

    def __init__(self, *, channels, side):
        super().__init__()
        self.shape = (channels, side, side)

    def forward(self, x):
        assert x.shape[1:] == self.shape
        return x.mean(dim=(1, 2, 3))


def cnn(resolution=16, **changed):
    settings = {"crop": None, "blur": 0.1, "jpeg": 0.1, "network": Brightness} | changed
    return Cnn(resolution=resolution, channels=3, levels=256, **settings)


def test_its_logit_is_that_of_its_network_on_the_pixels():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(cnn()(images), images.mean((1, 2, 3)))


def test_of_a_large_image_it_sees_native_squares():
    images = torch.rand(2, 3, 64, 64)
    squares = [images[..., y : y + 16, x : x + 16] for y in (12, 36) for x in (12, 36)]
    expected = torch.stack([square.mean((1, 2, 3)) for square in squares]).mean(0)
    torch.testing.assert_close(cnn(64, crop=16)(images), expected)


@pytest.mark.parametrize(("technique", "turn"), [("cnn", False), ("nodown", True)])
def test_in_training_images_are_altered_by_the_published_probabilities_and_those_of_nodown_turned(technique, turn):
    batch = images(32, channels=1, side=8, levels=17)
    settings = {"blur": 0.1, "jpeg": 0.1, "mirror": True, "turn": turn}
    augmented = build_a(Cnn, technique).augmented(batch, torch.Generator().manual_seed(3))
    assert torch.equal(augmented, altered(batch, levels=17, seed=3, **settings))


def test_at_its_published_size_it_is_a_resnet_50():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        detector = build("paper/cnn", 256, 3, 256)
    assert sum(parameter.numel() for parameter in detector.parameters()) == 23_508_032 + 2049
    assert (detector.side, detector.learning_rate) == (224, 1e-4)


def test_two_blocks_of_nodown_keep_every_pixel():
    trunk = build_a(NoDown, "nodown", 32, 3, 256).network
    assert isinstance(trunk, Trunk)
    assert [features.shape[-1] for features in trunk.maps(torch.zeros(2, 3, 32, 32))] == [32, 32, 16, 8, 4, 4]


def test_at_its_published_size_nodown_is_a_resnet_50_whose_first_map_is_as_large_as_the_image():
    pytest.importorskip("transformers")
    with torch.device("meta"):
        detector = build_a(NoDown, "paper/nodown", 96, 3, 256)
        assert isinstance(detector.network, Trunk)
        sides = [features.shape[-1] for features in detector.network.maps(torch.zeros(2, 3, 96, 96))]
    assert sides == [96, 96, 96, 48, 24, 12]
    assert sum(parameter.numel() for parameter in detector.parameters()) == 23_508_032 + 2049


def test_no_image_is_mirrored_where_the_data_forbids_it():
    batch = torch.rand(32, 3, 8, 8)
    kept = cnn(8, blur=0.0, jpeg=0.0, mirror=False).augmented(batch, torch.Generator().manual_seed(0))
    assert torch.equal(kept, batch)
    assert not torch.equal(
        cnn(8, blur=0.0, jpeg=0.0, mirror=True).augmented(batch, torch.Generator().manual_seed(0)), batch
    )
