"""The baseline without learning: a corrected mean spectrum, and rounding at random."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from arena.core.errors import ArenaError
from arena.data.reals import Reals
from arena.generators.folder import FolderGenerator
from arena.generators.spectrum_corrected import SpectrumCorrectedGenerator, corrected, dithered, mean_magnitude
from arena.imaging.images import on_levels, to_float, to_uint8
from tests.building import tiny_arena
from tests.generators.test_folder import fill

SHAPE = {"resolution": 16, "channels": 1, "levels": 256}
COUNTS = {"train": 60, "validation": 30, "test": 110}


def smooth(n: int, seed: int) -> Tensor:
    """Return smooth images, uint8 (n, 1, 16, 16), far from black and white."""
    noise = torch.randn(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed))
    return to_uint8(0.8 * torch.nn.functional.avg_pool2d(noise, 3, stride=1, padding=1).clamp(-1, 1))


def with_checkerboard(images: Tensor, amplitude: int) -> Tensor:
    """Return images with a checkerboard, in one of its two places at random."""
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2 - 1
    signs = torch.randint(2, (len(images), 1, 1, 1), generator=torch.Generator().manual_seed(0)) * 2 - 1
    return (images.int() + amplitude * signs * board).clamp(0, 255).to(torch.uint8)


@pytest.fixture
def case(tmp_path: Path) -> tuple[SpectrumCorrectedGenerator, Reals, FolderGenerator]:
    """Return the baseline on a folder of images with a checkerboard, generator-train without, and the folder."""
    (tmp_path / "fakes").mkdir()
    for k, image in enumerate(with_checkerboard(smooth(200, 1), 6)):
        Image.fromarray(image[0].numpy()).save(tmp_path / "fakes" / f"{k:03d}.png")
    path, cache = tmp_path / "fakes", tmp_path / "cache"
    ours = SpectrumCorrectedGenerator(**SHAPE, path=path, run=None, cache_dir=cache)
    return ours, Reals(smooth(300, 2), np.arange(300)), FolderGenerator(**SHAPE, path=path, cache_dir=cache)


def corner(images: Tensor) -> float:
    """Return the mean magnitude at the checkerboard's frequency, by numpy and in grey levels."""
    return float(np.abs(np.fft.fft2(images.numpy().astype(float)))[:, 0, 8, 8].mean())


def test_a_pattern_without_a_fixed_place_is_removed(
    case: tuple[SpectrumCorrectedGenerator, Reals, FolderGenerator],
) -> None:
    ours, reals, folder = case
    before, after = (to_uint8(each.forge(COUNTS, 1, reals)["test"]) for each in (folder, ours))
    wanted = corner(reals.images)
    assert corner(before) > 10 * wanted
    assert corner(after) < 2 * wanted
    assert (after.int() - before.int()).abs().float().mean() < 8


def test_images_are_on_the_grey_levels_in_range_and_in_the_banks_of_the_folder(
    case: tuple[SpectrumCorrectedGenerator, Reals, FolderGenerator],
) -> None:
    ours, reals, folder = case
    banks, plain = (each.forge(COUNTS, 1, reals) for each in (ours, folder))
    for name, bank in banks.items():
        assert bank.shape == plain[name].shape
        torch.testing.assert_close(bank, on_levels(bank, 256), rtol=0, atol=1e-6)
        # The same image: nearer to it than to any other.
        distances = torch.cdist(bank.flatten(1), plain[name].flatten(1))
        assert torch.equal(distances.argmin(1), torch.arange(len(bank)))
    assert torch.equal(ours.forge(COUNTS, 1, reals)["test"], banks["test"])
    assert ours.fingerprint() == folder.fingerprint()
    assert ours.files() == folder.files()


def test_the_mean_magnitude_after_the_correction_is_that_of_the_reals() -> None:
    fakes, reals = (255 * torch.rand(400, 2, 8, 8, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    reals = 2 * reals  # magnitudes are raised, so that none stops at 0
    excess = torch.fft.rfft2(fakes).abs().mean(0) - torch.fft.rfft2(reals).abs().mean(0)
    found = np.abs(np.fft.fft2(corrected(fakes, excess).numpy())).mean(0)
    np.testing.assert_allclose(found, np.abs(np.fft.fft2(reals.numpy())).mean(0), rtol=1e-3)


def test_the_mean_magnitude_is_in_grey_levels() -> None:
    images = smooth(20, 3)
    expected = np.abs(np.fft.rfft2(images.numpy().astype(float))).mean(0)
    np.testing.assert_allclose(mean_magnitude(to_float(images), 256), expected, rtol=1e-4, atol=1e-2)


def test_dither_keeps_the_mean_and_whole_levels() -> None:
    rng = torch.Generator().manual_seed(0)
    values = torch.tensor([0.0, 3.0, 7.25, 9.9]).repeat(20_000, 1)
    rounded = dithered(values, rng)
    assert torch.equal(rounded, rounded.round())
    assert torch.equal(rounded[:, :2], values[:, :2])
    torch.testing.assert_close(rounded.mean(0), values[0], rtol=0, atol=0.015)  # four standard errors


def test_it_is_examined_and_not_trained(tmp_path: Path) -> None:
    path = f"generator.path={fill(tmp_path / 'fakes', 200)}"
    race = tiny_arena(tmp_path / "run", path, "race.rounds=0", "access=none", generator="spectrum_corrected")
    assert (race.purpose, race.finite) == ("train", True)
    with pytest.raises(ArenaError, match="expected 0, since generator=spectrum_corrected does not train"):
        tiny_arena(tmp_path / "other", path, "race.rounds=1", generator="spectrum_corrected")
