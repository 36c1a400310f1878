from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from arena.detectors.techniques.cnn import DetectorAugmentation
from arena.imaging.images import on_levels, to_float, to_uint8


def images(n=64, channels=3, side=16, levels=256):
    return on_levels(torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1, levels)


def altered(batch, levels=256, seed=0, **settings):
    augmentation = DetectorAugmentation(levels, **({"blur": 0.0, "jpeg": 0.0, "flip": False} | settings))
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
    mirrored = altered(batch, flip=True)
    flipped = torch.tensor([torch.equal(one, other.flip(-1)) for one, other in zip(mirrored, batch, strict=True)])
    assert float(flipped.float().mean()) == pytest.approx(0.5, abs=0.08)
    assert torch.equal(mirrored[~flipped], batch[~flipped])
    turned = altered(batch, turn=True)
    for quarters in range(4):
        same = [torch.equal(one, other.rot90(quarters, (-2, -1))) for one, other in zip(turned, batch, strict=True)]
        assert np.mean(same) == pytest.approx(0.25, abs=0.08)


def test_it_draws_from_its_generator_alone_and_does_not_change_its_input():
    settings = {"blur": 0.5, "jpeg": 0.5, "flip": True, "turn": True}
    batch, before = images(), torch.random.get_rng_state()
    first = altered(batch, **settings)
    assert torch.equal(batch, images())
    assert torch.equal(altered(batch, **settings), first)
    assert not torch.equal(altered(batch, seed=1, **settings), first)
    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(altered(batch, **settings), first)
    assert torch.equal(altered(batch.contiguous(memory_format=torch.channels_last), **settings), first)
