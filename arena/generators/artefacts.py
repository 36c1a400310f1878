"""Artefacts that can be planted in an image, at a known amplitude, to find out who sees them."""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from arena.core.errors import require
from arena.core.seeding import derive_seed
from arena.imaging.images import on_levels

Artefact = Literal[
    "checkerboard", "stripes", "spectral_peak", "colour_shift", "noise_residual", "upsampling_trace", "quantisation"
]
Colour = Literal["red", "green", "blue", "red_green"]
Interpolation = Literal["nearest", "bilinear", "bicubic"]


@dataclass(frozen=True)
class Traits:
    """What an artefact has besides its kind and its amplitude; each kind reads its own.

    Args:
        period: of ``checkerboard`` and ``stripes``, in pixels, even.
        frequency: of ``spectral_peak``, horizontal and vertical, in cycles per pixel.
        colour: of ``colour_shift``: one channel, or ``red_green``, which raises red and lowers green.
        multiplicative: whether ``noise_residual`` grows with brightness, as that of a sensor does.
        factor: of ``upsampling_trace``.
        interpolation: of ``upsampling_trace``.

    Raises:
        ArenaError: for a value no image could show.
    """

    period: int = 2
    frequency: tuple[float, ...] = (0.25, 0.25)
    colour: Colour = "red_green"
    multiplicative: bool = False
    factor: int = 2
    interpolation: Interpolation = "nearest"

    def __post_init__(self) -> None:
        require(self.period >= 2 and self.period % 2 == 0, "generator.period", self.period, "an even number of pixels")
        possible = len(self.frequency) == 2 and any(self.frequency) and all(abs(f) <= 0.5 for f in self.frequency)
        expected = "two frequencies of -0.5 to 0.5 cycles per pixel, not both 0"
        require(possible, "generator.frequency", list(self.frequency), expected)
        require(self.factor >= 2, "generator.factor", self.factor, "at least 2")
        for key, value, known in (
            ("colour", self.colour, Colour),
            ("interpolation", self.interpolation, Interpolation),
        ):
            require(value in get_args(known), f"generator.{key}", value, f"one of {', '.join(get_args(known))}")


def plant(images: Tensor, kind: Artefact, amplitude: float, levels: int, traits: Traits = Traits()) -> Tensor:
    """Put an artefact into images (B, C, H, W) in [-1, 1] on ``levels`` grey levels; the result is on levels again.

    No pixel moves by more than ``amplitude``, and black and white cut off what goes beyond them, as an encoder would:
    on a black ground only the upper half of a pattern is left. Where nothing is cut off the largest change is

    - ``checkerboard``, ``stripes``, ``colour_shift``: the amplitude, at every pixel (of a channel that is shifted);
    - ``spectral_peak``, ``noise_residual``: the amplitude, at the pattern's strongest pixel; a multiplicative residual
      changes white there by the amplitude, and what is darker by less;
    - ``upsampling_trace``: the amplitude in every image that resampling changes at least so much; any other is
      resampled wholly, and changes by what that gives;
    - ``quantisation``: the amplitude, wherever an image has a level midway between two that are kept.

    Args:
        images: float, on levels.
        kind: of the artefact.
        amplitude: peak, in grey levels of the data: one is 2 / (levels - 1).
        levels: grey levels of the data.
        traits: what else the kind has.

    Raises:
        ArenaError: for an unknown kind, or one that images of this size cannot show, and for an amplitude that is no
            whole number of grey levels there are.
    """
    check(kind, amplitude, levels, images.shape[-1], traits)
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


def check(kind: str, amplitude: float, levels: int, side: int, traits: Traits = Traits()) -> None:
    """Raise ``ArenaError`` unless ``plant`` can plant this in images of ``side`` pixels."""
    require(kind in get_args(Artefact), "generator.kind", kind, f"one of {', '.join(get_args(Artefact))}")
    whole = float(amplitude).is_integer() and 0 <= amplitude < levels
    require(whole, "generator.amplitude", amplitude, f"a whole number of the data's grey levels, 0 to {levels - 1}")
    if kind in ("checkerboard", "stripes"):
        require(side % traits.period == 0, "generator.period", traits.period, f"a divisor of the side of {side} pixels")
    if kind == "upsampling_trace":
        require(side % traits.factor == 0, "generator.factor", traits.factor, f"a divisor of the side of {side} pixels")


def pattern(kind: Artefact, height: int, width: int, traits: Traits = Traits()) -> Tensor:
    """What a kind adds to every image alike: float (height, width), of peak 1.

    ``checkerboard`` alternates both ways, as transposed convolutions do (Odena et al. 2016); at period 2 all its energy
    is at the corner of the spectrum, beyond the last whole ring of an azimuthal average. ``stripes`` alternates from
    column to column; at period 2 its energy is at the horizontal Nyquist frequency, on that last ring. At longer
    periods both are square waves, with odd harmonics.

    ``spectral_peak`` is one cosine: the peaks that upsampling leaves in a spectrum (Zhang, Karaman & Chang 2019).

    ``noise_residual`` is white noise of mean 0, always the same: the fixed pattern of a sensor (Lukas, Fridrich &
    Goljan 2006) or the fingerprint of a generator (Marra et al. 2019).
    """
    y, x = torch.arange(height, dtype=torch.float64)[:, None], torch.arange(width, dtype=torch.float64)
    match kind:
        case "checkerboard":
            values = _square(y, traits.period) * _square(x, traits.period)
        case "stripes":
            values = _square(x, traits.period).expand(height, width)
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


def _square(place: Tensor, period: int) -> Tensor:
    """+1 over the first half of each period and -1 over the second."""
    return 1.0 - 2.0 * (place % period >= period // 2)


def _tint(channels: int, colour: Colour) -> Tensor:
    """Float (C, 1, 1) of +1, 0 and -1: a colour cast (cf. McCloskey & Albright 2018). Grey images have but a tone."""
    signs = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "red_green": (1, -1, 0)}[colour]
    return torch.tensor(signs if channels == 3 else [1], dtype=torch.float32)[:, None, None]


def _resampled(grey: Tensor, traits: Traits) -> Tensor:
    """Averaged down by the factor and interpolated up again: the trace NPR looks for (Tan et al. 2024)."""
    small = F.avg_pool2d(grey, traits.factor)
    if traits.interpolation == "nearest":
        return F.interpolate(small, scale_factor=traits.factor, mode="nearest")
    return F.interpolate(small, scale_factor=traits.factor, mode=traits.interpolation, align_corners=False)


def _blended(grey: Tensor, other: Tensor, amplitude: float) -> Tensor:
    """As far from the one towards the other (B, C, H, W) as no pixel of an image moves by more than the amplitude."""
    peak = (other - grey).abs().amax((1, 2, 3), keepdim=True)
    return grey.lerp(other, (amplitude / peak.clamp(min=1e-6)).clamp(max=1))
