"""Controls, whose outcome is known in advance: real images, copies, and real images with a planted artefact."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Unpack, get_args

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from arena.core.errors import require
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.data.split import partition
from arena.generators.base import Generator
from arena.imaging.images import ImageShape, on_levels, to_float

Artefact = Literal[
    "checkerboard", "stripes", "spectral_peak", "colour_shift", "noise_residual", "upsampling_trace", "quantisation"
]

DRAWN = 0.75
"""Share of generator-train from which the oracle draws its banks."""
TEST_OF_FEW = 2
"""Largest size of the oracle's test bank, in units of its training bank, where reals are few."""


class Oracle(Generator):
    """Forge real images. No technique may detect them more often than alpha allows.

    Banks are disjoint, drawn without replacement from ``DRAWN`` of generator-train. If it has too few images, the test
    bank shrinks to ``TEST_OF_FEW`` times the training bank, and then all banks in proportion. The rest counts as the
    training set, so that the memorisation measure sees new images.
    """

    purpose = "control"

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Draw banks of real images. The first banks do not depend on the last ones, if no bank shrinks."""
        drawn_from, _ = _drawn_and_trained(reals)
        if sum(counts.values()) > len(drawn_from) and {"train", "test"} <= counts.keys():
            counts = {**counts, "test": min(counts["test"], TEST_OF_FEW * counts["train"])}
        banks = deal(drawn_from.sources, counts, derive_seed(seed, "bank", player="oracle"))
        return {name: to_float(drawn_from[bank].images) for name, bank in banks.items()}

    def training_set(self, reals: Reals) -> Reals:
        """Return the part that banks are never drawn from."""
        return _drawn_and_trained(reals)[1]


def _drawn_and_trained(reals: Reals) -> tuple[Reals, Reals]:
    """Split into the part to draw from and the part that counts as training set, with no person in both.

    The seed is a function of the reals, so that the split is the same in every round and in the memorisation measure.
    """
    rng = np.random.default_rng(derive_seed(int(reals.ids.sum()), "oracle"))
    return reals.split_off(round(DRAWN * len(reals)), rng)


def deal(sources: NDArray[np.int64], counts: Mapping[str, int], seed: int) -> dict[str, NDArray[np.int64]]:
    """Deal images into banks: each image once, and no source in two banks.

    If there are too few images, all banks shrink in proportion. Sources with many images make the sizes random.

    Args:
        sources: (N,) source of each image, such as its person.
        counts: name of the bank -> number of images.
        seed: of the permutation.

    Returns:
        Name of the bank -> indices of its images.
    """
    total, rng = sum(counts.values()), np.random.default_rng(seed)
    sizes = [count * min(len(sources), total) // max(total, 1) for count in counts.values()]
    bank = partition(sources, np.cumsum(sizes), rng)
    return {
        name: rng.permutation(np.flatnonzero(bank == k))[:size]
        for k, (name, size) in enumerate(zip(counts, sizes, strict=True))
    }


class Copycat(Generator):
    """Forge copies of generator-train. The memorisation measure must invalidate such a race, for any scores."""

    purpose = "control"

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Copy images, each bank from its own stream. No image repeats before all have been copied."""
        banks = {}
        for name, count in counts.items():
            rng = np.random.default_rng(derive_seed(seed, "bank", player=name))
            turns = [rng.permutation(len(reals)) for _ in range(-(-count // len(reals)))]
            banks[name] = to_float(reals[np.concatenate([*turns, np.empty(0, np.int64)])[:count]].images)
        return banks


class Planted(Oracle):
    """The oracle with a faint artefact. A technique must detect it above its limit of detection.

    Args:
        kind: of the artefact. It decides which of the parameters below are used.
        amplitude: its peak in grey levels of the data, of which one is 2 / (levels - 1).
        period: of ``checkerboard`` and ``stripes``, in pixels.
        frequency: of ``spectral_peak``, horizontal and vertical, in cycles per pixel.
        colour: of ``colour_shift``: one channel, or ``red_green``, which raises red and lowers green.
        multiplicative: whether ``noise_residual`` grows with brightness, as sensor noise does.
        factor: of ``upsampling_trace``.
        interpolation: of ``upsampling_trace``.

    Raises:
        ArenaError: for an artefact that cannot be planted in these images.
    """

    def __init__(
        self,
        *,
        kind: Artefact,
        amplitude: float,
        period: Annotated[int, Field(ge=2, multiple_of=2)] = 2,
        frequency: Sequence[float] = (0.25, 0.25),
        colour: Literal["red", "green", "blue", "red_green"] = "red_green",
        multiplicative: bool = False,
        factor: Annotated[int, Field(ge=2)] = 2,
        interpolation: Literal["nearest", "bilinear", "bicubic"] = "nearest",
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        possible = len(frequency) == 2 and any(frequency) and all(abs(f) <= 0.5 for f in frequency)
        expected = "two frequencies of -0.5 to 0.5 cycles per pixel, not both 0"
        require(possible, "generator.frequency", list(frequency), expected)
        require(kind in get_args(Artefact), "generator.kind", kind, f"one of {', '.join(get_args(Artefact))}")
        whole = float(amplitude).is_integer() and 0 <= amplitude < self.levels
        expected = f"a whole number of the data's grey levels, 0 to {self.levels - 1}"
        require(whole, "generator.amplitude", amplitude, expected)
        expected = f"a divisor of the side of {self.resolution} pixels"
        if kind in ("checkerboard", "stripes"):
            require(self.resolution % period == 0, "generator.period", period, expected)
        if kind == "upsampling_trace":
            require(self.resolution % factor == 0, "generator.factor", factor, expected)
        self.kind, self.amplitude = kind, amplitude
        self.period, self.frequency, self.colour, self.multiplicative = period, frequency, colour, multiplicative
        self.factor, self.interpolation = factor, interpolation

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Draw the oracle's banks and plant the artefact."""
        return {name: self.plant(bank) for name, bank in super().forge(counts, seed, reals).items()}

    def plant(self, images: Tensor) -> Tensor:
        """Plant the artefact in images (B, C, H, W) on the data's grey levels. The result is on levels again.

        No pixel changes by more than the amplitude. Values beyond black and white are clipped, as by an encoder: on
        black only the upper half of a pattern remains. Without clipping, the largest change is

        - ``checkerboard``, ``stripes``, ``colour_shift``: the amplitude, at every pixel of a changed channel;
        - ``spectral_peak``, ``noise_residual``: the amplitude, at the strongest pixel of the pattern. A multiplicative
          residual reaches it on white, and less on darker pixels;
        - ``upsampling_trace``: the amplitude, in every image that resampling changes by at least as much. Any other
          image is resampled completely;
        - ``quantisation``: the amplitude, at levels midway between two that are kept.
        """
        white = self.levels - 1
        grey = (images + 1) * white / 2
        match self.kind:
            case "colour_shift":
                grey = grey + self.amplitude * self._tint().to(images)
            case "upsampling_trace":
                other = self._resampled(grey)
                peak = (other - grey).abs().amax((1, 2, 3), keepdim=True)
                # Towards the resampled image, until the most changed pixel has moved by the amplitude.
                grey = grey.lerp(other, (self.amplitude / peak.clamp(min=1e-6)).clamp(max=1))
            case "quantisation":
                spacing = 2 * self.amplitude + 1  # rounds up and down by at most the amplitude
                grey = spacing * (grey / spacing).round()
            case _:
                change = self.amplitude * self.pattern().to(images)
                shaded = self.kind == "noise_residual" and self.multiplicative
                grey = grey + (change * grey / white if shaded else change)
        return on_levels(2 * grey / white - 1, self.levels)

    def pattern(self) -> Tensor:
        """Return the pattern that is added to every image: float (H, W), of peak 1.

        ``checkerboard`` alternates in both directions, as transposed convolutions do (Odena et al. 2016). At period 2
        all its energy is at the corner of the spectrum, beyond the last whole ring of an azimuthal average. ``stripes``
        alternates from column to column. At period 2 its energy is at the horizontal Nyquist frequency, on that last
        ring. At longer periods both are square waves, with odd harmonics.

        ``spectral_peak`` is one cosine, such as upsampling leaves in a spectrum (Zhang, Karaman & Chang 2019).

        ``noise_residual`` is white noise of mean 0, always the same: the fixed pattern of a sensor (Lukas, Fridrich &
        Goljan 2006) or the fingerprint of a generator (Marra et al. 2019).

        >>> stripes = Planted(kind="stripes", amplitude=1, period=4, resolution=8, channels=1, levels=17)
        >>> stripes.pattern()[0].tolist()
        [1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, -1.0]
        """
        place = torch.arange(self.resolution, dtype=torch.float64)
        wave = 1.0 - 2.0 * (place % self.period >= self.period // 2)  # +1 over the first half of each period, then -1
        match self.kind:
            case "checkerboard":
                values = wave[:, None] * wave
            case "stripes":
                values = wave.expand(self.resolution, -1)
            case "spectral_peak":
                horizontal, vertical = self.frequency
                values = torch.cos(2 * torch.pi * (horizontal * place + vertical * place[:, None]))
            case "noise_residual":
                rng = np.random.default_rng(derive_seed(0, "noise_residual"))
                noise = torch.from_numpy(rng.standard_normal((self.resolution, self.resolution)))
                values = noise - noise.mean()
                values = values / values.abs().max()
            case _:
                raise ValueError(f"{self.kind}: not the same for every image")
        return values.float()

    def _tint(self) -> Tensor:
        """Return +1, 0 and -1 by channel (C, 1, 1): a colour cast (cf. McCloskey & Albright 2018), a tone if grey."""
        signs = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "red_green": (1, -1, 0)}[self.colour]
        return torch.tensor(signs if self.channels == 3 else [1], dtype=torch.float32)[:, None, None]

    def _resampled(self, grey: Tensor) -> Tensor:
        """Average down by the factor and interpolate up again: the trace that NPR detects (Tan et al. 2024)."""
        small = F.avg_pool2d(grey, self.factor)
        corners = None if self.interpolation == "nearest" else False
        return F.interpolate(small, scale_factor=self.factor, mode=self.interpolation, align_corners=corners)
