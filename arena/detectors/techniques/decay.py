"""The decay of the spectrum's highest frequencies under nearest neighbours (Dzanic, Shah & Witherden 2020)."""

import torch
from torch import Tensor

from arena.core.errors import require, requires
from arena.detectors.base import FittedDetector
from arena.detectors.heads.linear import Neighbours
from arena.detectors.techniques.spectrum import grey_power

SMALLEST = 16
"""Pixels: below, fewer than three bins lie above three quarters of the highest frequency."""


def high_bins(resolution: int, threshold: float) -> tuple[Tensor, Tensor]:
    """The azimuthal average above a threshold, about one frequency step wide.

    Args:
        resolution: side n of the images in pixels.
        threshold: share of the highest frequency there is, at the corner of the spectrum.

    Returns:
        A matrix (bins, n**2) of means over the cells of an unshifted 2-D FFT, and the frequency at the middle of each
        bin (bins,), in units of the highest.
    """
    step = torch.fft.fftfreq(resolution, d=1 / resolution, dtype=torch.float64)
    radius = torch.hypot(step[:, None], step[None]).flatten()
    highest = float(radius.max())
    bins = max(3, round((1 - threshold) * highest))
    edges = torch.linspace(threshold * highest, highest, bins + 1, dtype=torch.float64)
    edges -= 1e-9 * highest  # a frequency that lies on an edge belongs above it, whatever its last digit
    place = torch.bucketize(radius, edges[1:-1], right=True)  # the last bin has the corner itself
    member = (place[None] == torch.arange(len(edges) - 1)[:, None]) & (radius >= edges[0])
    filled = member.any(1)
    middle = (edges[1:] + edges[:-1])[filled] / (2 * highest)
    member = member[filled].double()
    return member / member.sum(1, keepdim=True), middle


class Decay(FittedDetector):
    """A power law fitted to the spectrum's highest quarter, its three numbers compared with those of known images.

    The reduced spectrum c is the magnitude of the Fourier transform of the grey image, averaged over rings (in squares,
    so that its gradient follows the strongest frequency) and divided by that of frequency 0. Above the threshold k_T it
    is fitted by c(k_T) (k / k_T)^b. The features are the exponent b and the spectrum's values at either end, c(k_T) and
    c(1), the highest frequency lying at the corner.

    Where the authors search for the b of least squared error of c itself, this takes that of log c, in closed form: it
    has a gradient, and so have the nearest neighbours, see ``Neighbours``. The values at the ends are logarithms too.
    The authors smooth 200 bins of images of 256 to 1024 pixels; these bins are a frequency step wide, and as they are.

    Args:
        resolution, channels, levels: of the images.
        threshold: k_T, as a share of the highest frequency (0.75 in the paper).
        neighbours: nearest images of each class that count (5 in the paper).
        epsilon: added in squares to a magnitude, which black would else make 0.

    Raises:
        DoesNotApply: below 16 pixels.
    """

    differentiable = True
    artefact = "checkerboard"
    rings: Tensor
    frequency: Tensor

    def __init__(
        self, *, resolution: int, channels: int, levels: int, threshold: float, neighbours: int, epsilon: float
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(0 < threshold < 1, "threshold", threshold, "above 0 and below 1")
        require(epsilon > 0, "epsilon", epsilon, "above 0")
        requires(resolution >= SMALLEST, f"{SMALLEST} pixels a side")
        self.epsilon, self.head = epsilon, Neighbours(neighbours=neighbours)
        rings, frequency = high_bins(resolution, threshold)
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
