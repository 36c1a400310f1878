"""Baseline of ``generator=launder`` without learning: subtract a mean spectrum, after Wesselkamp et al. 2022."""

from collections.abc import Mapping
from functools import reduce
from pathlib import Path
from typing import Unpack

import torch
from torch import Tensor

from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.generators.matching import PART
from arena.generators.sources import ChangedImages, image_source
from arena.imaging.images import ImageShape, on_levels, to_float

FITTED = 4096
"""Most images of the source whose mean spectrum is taken."""


class SpectrumCorrectedGenerator(ChangedImages):
    """Images of a source whose mean spectrum is corrected to that of generator-train, then rounded at random.

    From the magnitude of each image's Fourier transform, the mean magnitude of the source less that of generator-train
    is subtracted. Magnitudes stay at least 0, and phases as they are (cf. the mean-spectrum attack of Wesselkamp et al.
    2022). Then each pixel is rounded up or down to a grey level, with the probability that keeps its mean (dither), so
    that rounding leaves no pattern.

    Differences: the authors subtract a mean of signed cosine coefficients, which is a mean image. A pattern without a
    fixed place is none in a mean image, and has a mean magnitude. They round to the nearest level.

    ``generator.matched=spectrum`` multiplies instead, and repeats until rounded fakes have the mean power of the reals.

    Args:
        path: folder of images; null for those of a run.
        run: directory of a run whose last generator makes the images; null for those of a folder.
        cache_dir: folder for decoded images.
        shape: see ``ImageShape``.
    """

    def __init__(
        self, *, path: str | Path | None, run: str | Path | None, cache_dir: str | Path, **shape: Unpack[ImageShape]
    ) -> None:
        super().__init__(**shape)
        self.source = image_source(path, run, cache_dir, **shape)

    @torch.inference_mode()
    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Correct banks of the source. Those of a folder are dealt as by ``generator=folder``.

        The spectrum of the source is that of images that depend on neither bank nor ``seed``: all of a folder's, up to
        ``FITTED``.
        """
        fakes = self.source.banks({"correction": FITTED}, derive_seed(0, "correction"))["correction"]
        excess = mean_magnitude(fakes, self.levels) - mean_magnitude(to_float(reals.images), self.levels)
        banks = {}
        for name, images in self.source.banks(counts, seed).items():
            rng = torch.Generator().manual_seed(derive_seed(seed, "dither", player=name))
            parts = [dithered(corrected(grey(part, self.levels), excess), rng) for part in images.split(PART)]
            banks[name] = torch.cat(parts).clamp(0, self.levels - 1).mul(2 / (self.levels - 1)).sub(1)
        return banks


def grey(images: Tensor, levels: int) -> Tensor:
    """Return images in [-1, 1] as whole grey levels from 0 to ``levels`` - 1, float."""
    return on_levels(images, levels).add(1).mul((levels - 1) / 2).round()


def mean_magnitude(images: Tensor, levels: int) -> Tensor:
    """Return the mean magnitude (C, H, W // 2 + 1) of the Fourier transforms of images (N, C, H, W), in grey levels."""
    sums = (torch.fft.rfft2(grey(part, levels)).abs().sum(0, dtype=torch.float64) for part in images.split(PART))
    return reduce(torch.add, sums).div(len(images)).float()


def corrected(levelled: Tensor, excess: Tensor) -> Tensor:
    """Subtract ``excess`` (C, H, W // 2 + 1) from the magnitudes of images (N, C, H, W) in grey levels."""
    spectrum = torch.fft.rfft2(levelled)
    magnitude = (spectrum.abs() - excess).clamp(min=0)
    return torch.fft.irfft2(torch.polar(magnitude, spectrum.angle()), s=levelled.shape[-2:])


def dithered(levelled: Tensor, rng: torch.Generator) -> Tensor:
    """Round grey levels up or down at random, so that the expectation of each pixel is its value."""
    return (levelled + torch.rand(levelled.shape, generator=rng)).floor()
