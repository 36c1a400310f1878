"""The decay of the highest frequencies of the spectrum."""

from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from arena.core.errors import requires
from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Neighbours
from arena.detectors.techniques.spectrum import grey_power

SMALLEST = 16
"""Pixels. In smaller images fewer than three bins lie above three quarters of the highest frequency."""


def high_bins(resolution: int, threshold: float) -> tuple[Tensor, Tensor]:
    """Azimuthal average above a threshold, in bins about one frequency step wide.

    Args:
        resolution: side n of the images in pixels.
        threshold: share of the highest frequency, that at the corner of the spectrum.

    Returns:
        A matrix (bins, n**2) of means over the cells of an unshifted 2-D FFT, and the frequency at the middle of each
        bin (bins,), in units of the highest.
    """
    step = torch.fft.fftfreq(resolution, d=1 / resolution, dtype=torch.float64)
    radius = torch.hypot(step[:, None], step[None]).flatten()
    highest = float(radius.max())
    bins = max(3, round((1 - threshold) * highest))
    edges = torch.linspace(threshold * highest, highest, bins + 1, dtype=torch.float64)
    edges -= 1e-9 * highest  # a frequency on an edge belongs above it, whatever its last digit
    place = torch.bucketize(radius, edges[1:-1], right=True)  # the last bin contains the corner itself
    member = (place[None] == torch.arange(len(edges) - 1)[:, None]) & (radius >= edges[0])
    filled = member.any(1)
    middle = (edges[1:] + edges[:-1])[filled] / (2 * highest)
    member = member[filled].double()
    return member / member.sum(1, keepdim=True), middle


class Decay(FittedDetector):
    """A power law c(k) = c(k_T) (k / k_T)^b fitted to the highest frequencies, under nearest neighbours.

    The reduced spectrum c is the magnitude of the Fourier transform of the grey image, averaged over rings and divided
    by that at frequency 0. The features are the exponent b and the values at both ends, c(k_T) and c(1).

    Paper: Dzanic, Shah & Witherden (2020), "Fourier spectrum discrepancies in deep network generated images".
    Differences: The authors search for the b of least squared error of c. Here it is that of log c, in closed form,
    which has a gradient, and so have the neighbours (see ``Neighbours``). Rings average squares, and the values at the
    ends are logarithms. The authors smooth 200 bins of large images; these bins are a frequency step wide and raw.
    Blind spots: All frequencies below the threshold, the direction of a frequency, and phases.
    Example: ``battery.add=[decay]``

    Args:
        threshold: k_T, as a share of the highest frequency (0.75 in the paper).
        neighbours: nearest images of each class that count (5 in the paper).
        epsilon: added in squares to a magnitude, so that black does not give 0.
        shape: of the images, at least 16 pixels a side.
    """

    differentiable = True
    artefact = "checkerboard"
    rings: Tensor
    frequency: Tensor

    def __init__(
        self,
        *,
        threshold: Annotated[float, Field(gt=0, lt=1)],
        neighbours: PositiveInt,
        epsilon: PositiveFloat,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        requires(self.resolution >= SMALLEST, f"{SMALLEST} pixels a side")
        self.epsilon, self.head = epsilon, Neighbours(neighbours=neighbours)
        rings, frequency = high_bins(self.resolution, threshold)
        self.register_buffer("rings", rings, persistent=False)
        self.register_buffer("frequency", frequency, persistent=False)

    def reduced(self, images: Tensor) -> Tensor:
        """Natural logarithm of the reduced spectrum above the threshold, (B, bins) float64, of images (B, C, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            magnitude = torch.sqrt(grey_power(images).flatten(1) @ self.rings.T + self.epsilon**2)
            brightness = (images.double().mean(1) + 1).sum((1, 2))  # images are in [-1, 1], and black is no light
            return magnitude.log() - (brightness + self.epsilon).log()[:, None]

    def features(self, images: Tensor) -> Tensor:
        """Exponent and logarithms of the values at the threshold and at the end, (B, 3) float64."""
        reduced = self.reduced(images)
        x = (self.frequency / self.frequency[0]).log()
        exponent = (reduced - reduced[:, :1]) @ x / x.square().sum()
        return torch.stack([exponent, reduced[:, 0], reduced[:, -1]], dim=1)
