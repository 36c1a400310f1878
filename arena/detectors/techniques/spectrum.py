"""The azimuthal power spectrum under a linear support vector machine (Durall, Keuper, Pfreundt & Keuper 2019, 2020)."""

import math

import torch
from torch import Tensor

from arena.core.errors import require
from arena.detectors.base import FittedDetector
from arena.detectors.heads.linear import LinearSvm
from arena.detectors.shared import shared, spectrum


def ring_means(resolution: int) -> Tensor:
    """The azimuthal average as a matrix (rings, resolution**2) over the cells of an unshifted 2-D FFT.

    Ring k averages the cells whose frequency has an integer part of its distance from zero equal to k. The rings are as
    many as in the authors' code, int((n - 1) / sqrt(2)) - 1 (20 at 32 pixels, 43 at 64), and never fewer than reach the
    Nyquist frequency of an axis, n / 2, which at 8 pixels that count would not.
    """
    frequency = torch.fft.fftfreq(resolution, d=1 / resolution)
    radius = torch.hypot(frequency[:, None], frequency[None]).floor().flatten().long()
    rings = max(int((resolution - 1) / math.sqrt(2)) - 1, resolution // 2 + 1)
    member = (radius[None] == torch.arange(rings)[:, None]).float()
    return member / member.sum(1, keepdim=True)


@shared
def grey_power(images: Tensor) -> Tensor:
    """Power (B, H, W), float64, of the channels' mean."""
    grey = spectrum(images.mean(1, keepdim=True)).squeeze(1)
    return grey.real.square() + grey.imag.square()


class Spectrum(FittedDetector):
    """Power at each spatial frequency, weighed by a linear SVM that is kept as a torch layer: exact gradients.

    The power is averaged over a ring before the logarithm, as the azimuthal integral of the paper of 2020 has it. The
    code of 2019 averages logarithms, in which one frequency among the hundred of a ring is lost.

    What it cannot see: the corner of the spectrum lies beyond the last ring, so that a checkerboard, whose energy sits
    on the corner frequency alone, may pass it. Its own planted artefact is therefore ``stripes``.

    Args:
        resolution, channels, levels: of the images.
        epsilon: added to the magnitude before the logarithm (1e-8 in the authors' code, whose gradient explodes).
    """

    differentiable = True
    artefact = "stripes"
    rings: Tensor

    def __init__(self, *, resolution: int, channels: int, levels: int, epsilon: float) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(epsilon > 0, "epsilon", epsilon, "above 0")
        self.epsilon, self.head = epsilon, LinearSvm()
        self.register_buffer("rings", ring_means(resolution).double(), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Azimuthal profile (B, rings) of the power in decibels, float64, of images (B, C, H, W), averaged to grey."""
        return 10 * torch.log10(grey_power(images).flatten(1) @ self.rings.T + self.epsilon**2)
