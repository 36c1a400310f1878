"""Controls, whose outcome is known in advance: real images, copies, and real images with a planted artefact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
Colour = Literal["red", "green", "blue", "red_green"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True)
class Traits:
    """Parameters of an artefact besides its kind and amplitude. Each kind reads its own.

    Args:
        period: of ``checkerboard`` and ``stripes``, in pixels, even.
        frequency: of ``spectral_peak``, horizontal and vertical, in cycles per pixel.
        colour: of ``colour_shift``: one channel, or ``red_green``, which raises red and lowers green.
        multiplicative: whether ``noise_residual`` grows with brightness, as sensor noise does.
        factor: of ``upsampling_trace``.
        interpolation: of ``upsampling_trace``.

    Raises:
        ArenaError: for frequencies that no image can show.
    """

    period: int = 2
    frequency: tuple[float, ...] = (0.25, 0.25)
    colour: Colour = "red_green"
    multiplicative: bool = False
    factor: int = 2
    interpolation: Interpolation = "nearest"

    def __post_init__(self) -> None:
        possible = len(self.frequency) == 2 and any(self.frequency) and all(abs(f) <= 0.5 for f in self.frequency)
        expected = "two frequencies of -0.5 to 0.5 cycles per pixel, not both 0"
        require(possible, "generator.frequency", list(self.frequency), expected)


class Oracle(Generator):
    """Forge real images. No technique may detect them more often than alpha allows.

    Banks are disjoint, drawn without replacement from one half of generator-train. If it has too few images, all banks
    shrink in proportion. The other half counts as the training set, so that the memorisation measure sees new images.
    """

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Draw banks of real images. The first banks do not depend on the last ones, if no bank shrinks."""
        drawn_from, _ = _halves(reals)
        banks = deal(drawn_from.sources, counts, derive_seed(seed, "bank", player="oracle"))
        return {name: to_float(drawn_from[bank].images) for name, bank in banks.items()}

    def training_set(self, reals: Reals) -> Reals:
        """Return the half that banks are never drawn from."""
        return _halves(reals)[1]


def _halves(reals: Reals) -> tuple[Reals, Reals]:
    """Split into the half to draw from and the half that counts as training set, with no person in both.

    The seed is a function of the reals, so that the split is the same in every round and in the memorisation measure.
    """
    rng = np.random.default_rng(derive_seed(int(reals.ids.sum()), "oracle"))
    return reals.split_off(len(reals) // 2, rng)


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

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Copy images, each bank from its own stream. No image repeats before all have been copied."""
        banks = {}
        for name, count in counts.items():
            rng = np.random.default_rng(derive_seed(seed, "bank", player=name))
            turns = [rng.permutation(len(reals)) for _ in range(-(-count // len(reals)))]
            banks[name] = to_float(reals[np.concatenate([*turns, np.empty(0, np.int64)])[:count]].images)
        return banks


class Planted(Generator):
    """The oracle with a faint artefact. A technique must detect it above its limit of detection.

    Args:
        kind: of the artefact.
        amplitude: its peak in grey levels of the data (of 255 if the data has 256).
        period: of ``checkerboard`` and ``stripes``; this and the following as in ``Traits``.
        frequency: of ``spectral_peak``.
        colour: of ``colour_shift``.
        multiplicative: of ``noise_residual``.
        factor: of ``upsampling_trace``.
        interpolation: of ``upsampling_trace``.
        shape: see ``ImageShape``.

    Raises:
        ArenaError: for an artefact that cannot be planted.
    """

    def __init__(
        self,
        *,
        kind: Artefact,
        amplitude: float,
        period: Annotated[int, Field(ge=2, multiple_of=2)] = Traits.period,
        frequency: Sequence[float] = Traits.frequency,
        colour: Colour = Traits.colour,
        multiplicative: bool = Traits.multiplicative,
        factor: Annotated[int, Field(ge=2)] = Traits.factor,
        interpolation: Interpolation = Traits.interpolation,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        self.traits = Traits(period, tuple(frequency), colour, multiplicative, factor, interpolation)
        check_artefact(kind, amplitude, self.levels, self.resolution, self.traits)
        self.kind: Artefact = kind
        self.amplitude = amplitude
        self.oracle = Oracle(**shape)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Draw the oracle's banks and plant the artefact."""
        banks = self.oracle.forge(counts, seed, reals)
        return {name: plant(bank, self.kind, self.amplitude, self.levels, self.traits) for name, bank in banks.items()}

    def training_set(self, reals: Reals) -> Reals:
        """Return the oracle's training set."""
        return self.oracle.training_set(reals)


def check_artefact(kind: str, amplitude: float, levels: int, side: int, traits: Traits = Traits()) -> None:
    """Raise ``ArenaError`` if the artefact cannot be planted in images of ``side`` pixels."""
    require(kind in get_args(Artefact), "generator.kind", kind, f"one of {', '.join(get_args(Artefact))}")
    whole = float(amplitude).is_integer() and 0 <= amplitude < levels
    require(whole, "generator.amplitude", amplitude, f"a whole number of the data's grey levels, 0 to {levels - 1}")
    if kind in ("checkerboard", "stripes"):
        require(side % traits.period == 0, "generator.period", traits.period, f"a divisor of the side of {side} pixels")
    if kind == "upsampling_trace":
        require(side % traits.factor == 0, "generator.factor", traits.factor, f"a divisor of the side of {side} pixels")


def plant(images: Tensor, kind: Artefact, amplitude: float, levels: int, traits: Traits = Traits()) -> Tensor:
    """Plant an artefact in images (B, C, H, W) in [-1, 1] on ``levels`` grey levels. The result is on levels again.

    No pixel changes by more than ``amplitude``. Values beyond black and white are clipped, as by an encoder: on black
    only the upper half of a pattern remains. Without clipping, the largest change is

    - ``checkerboard``, ``stripes``, ``colour_shift``: the amplitude, at every pixel of a changed channel;
    - ``spectral_peak``, ``noise_residual``: the amplitude, at the strongest pixel of the pattern. A multiplicative
      residual reaches it on white, and less on darker pixels;
    - ``upsampling_trace``: the amplitude, in every image that resampling changes by at least as much. Any other image
      is resampled completely;
    - ``quantisation``: the amplitude, at levels midway between two that are kept.

    Args:
        images: float, on levels.
        kind: of the artefact.
        amplitude: peak, in grey levels of the data: one is 2 / (levels - 1).
        levels: grey levels of the data.
        traits: other parameters of the kind.

    Raises:
        ArenaError: for an unknown kind, a kind that does not fit images of this size, and an amplitude that is not a
            whole number from 0 to levels - 1.
    """
    check_artefact(kind, amplitude, levels, images.shape[-1], traits)
    grey = (images + 1) * (levels - 1) / 2  # 0 is black, levels - 1 white
    match kind:
        case "colour_shift":
            grey = grey + amplitude * _tint(images.shape[1], traits.colour).to(images)
        case "upsampling_trace":
            grey = _blended(grey, _resampled(grey, traits), amplitude)
        case "quantisation":
            spacing = 2 * amplitude + 1  # rounds up and down by at most the amplitude
            grey = spacing * (grey / spacing).round()
        case _:
            change = amplitude * pattern(kind, images.shape[2], images.shape[3], traits).to(images)
            shaded = kind == "noise_residual" and traits.multiplicative
            grey = grey + (change * grey / (levels - 1) if shaded else change)
    return on_levels(2 * grey / (levels - 1) - 1, levels)


def pattern(kind: Artefact, height: int, width: int, traits: Traits = Traits()) -> Tensor:
    """Return the pattern that a kind adds to every image: float (height, width), of peak 1.

    ``checkerboard`` alternates in both directions, as transposed convolutions do (Odena et al. 2016). At period 2 all
    its energy is at the corner of the spectrum, beyond the last whole ring of an azimuthal average. ``stripes``
    alternates from column to column. At period 2 its energy is at the horizontal Nyquist frequency, on that last ring.
    At longer periods both are square waves, with odd harmonics.

    ``spectral_peak`` is one cosine, such as upsampling leaves in a spectrum (Zhang, Karaman & Chang 2019).

    ``noise_residual`` is white noise of mean 0, always the same: the fixed pattern of a sensor (Lukas, Fridrich &
    Goljan 2006) or the fingerprint of a generator (Marra et al. 2019).

    >>> pattern("stripes", 2, 4).tolist()
    [[1.0, -1.0, 1.0, -1.0], [1.0, -1.0, 1.0, -1.0]]
    >>> pattern("checkerboard", 2, 4).tolist()
    [[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]]
    """
    y, x = torch.arange(height, dtype=torch.float64)[:, None], torch.arange(width, dtype=torch.float64)
    match kind:
        case "checkerboard":
            values = _square_wave(y, traits.period) * _square_wave(x, traits.period)
        case "stripes":
            values = _square_wave(x, traits.period).expand(height, width)
        case "spectral_peak":
            horizontal, vertical = traits.frequency
            values = torch.cos(2 * torch.pi * (horizontal * x + vertical * y))
        case "noise_residual":
            rng = np.random.default_rng(derive_seed(0, "noise_residual"))
            noise = torch.from_numpy(rng.standard_normal((height, width)))
            values = noise - noise.mean()
            values = values / values.abs().max()
        case _:
            raise ValueError(f"{kind}: not the same for every image")
    return values.float()


def _square_wave(place: Tensor, period: int) -> Tensor:
    """Return +1 over the first half of each period and -1 over the second."""
    return 1.0 - 2.0 * (place % period >= period // 2)


def _tint(channels: int, colour: Colour) -> Tensor:
    """Return +1, 0 and -1 by channel (C, 1, 1): a colour cast (cf. McCloskey & Albright 2018), or a tone if grey."""
    signs = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "red_green": (1, -1, 0)}[colour]
    return torch.tensor(signs if channels == 3 else [1], dtype=torch.float32)[:, None, None]


def _resampled(grey: Tensor, traits: Traits) -> Tensor:
    """Average down by the factor and interpolate up again: the trace that NPR detects (Tan et al. 2024)."""
    small = F.avg_pool2d(grey, traits.factor)
    if traits.interpolation == "nearest":
        return F.interpolate(small, scale_factor=traits.factor, mode="nearest")
    return F.interpolate(small, scale_factor=traits.factor, mode=traits.interpolation, align_corners=False)


def _blended(grey: Tensor, other: Tensor, amplitude: float) -> Tensor:
    """Move images towards ``other`` (B, C, H, W) until their most changed pixel has moved by the amplitude."""
    peak = (other - grey).abs().amax((1, 2, 3), keepdim=True)
    return grey.lerp(other, (amplitude / peak.clamp(min=1e-6)).clamp(max=1))
