"""The azimuthal power spectrum."""

import math
from typing import Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import LinearSvm
from arena.detectors.shared import shared, spectrum


def ring_means(resolution: int) -> Tensor:
    """Azimuthal average as a matrix (rings, resolution**2) over the cells of an unshifted 2-D FFT.

    Ring k averages the cells whose distance from zero frequency has the integer part k. There are as many rings as in
    the authors' code, int((n - 1) / sqrt(2)) - 1 (20 at 32 pixels, 43 at 64). Small images have more, so that the rings
    reach the Nyquist frequency of an axis, n / 2.
    """
    frequency = torch.fft.fftfreq(resolution, d=1 / resolution)
    radius = torch.hypot(frequency[:, None], frequency[None]).floor().flatten().long()
    rings = max(int((resolution - 1) / math.sqrt(2)) - 1, resolution // 2 + 1)
    member = (radius[None] == torch.arange(rings)[:, None]).float()
    return member / member.sum(1, keepdim=True)


@shared
def grey_power(images: Tensor) -> Tensor:
    """Power spectrum (B, H, W), float64, of the channels' mean."""
    grey = spectrum(images.mean(1, keepdim=True)).squeeze(1)
    return grey.real.square() + grey.imag.square()


class Spectrum(FittedDetector):
    """Power at each spatial frequency, averaged over directions, under a linear SVM: up-sampling distorts the highest.

    Paper: Durall, Keuper, Pfreundt & Keuper (2019), "Unmasking deepfakes with simple features"; Durall, Keuper & Keuper
    (2020), "Watch your up-convolution".
    Differences: The power is averaged over a ring before the logarithm, as in the paper of 2020. The code of 2019
    averages logarithms, in which one frequency among the hundred of a ring is lost. The SVM is kept as a torch layer
    with exact gradients. The authors' epsilon of 1e-8 has an exploding gradient.
    Blind spots: The corner of the spectrum, beyond the last ring: a checkerboard of period 2 may pass, and the planted
    artefact is therefore ``stripes``. Also the direction of a frequency, and phases.
    Example: ``battery.add=[spectrum]``

    Args:
        epsilon: added to the magnitude before the logarithm.
    """

    differentiable = True
    artefact = "stripes"
    rings: Tensor

    def __init__(self, *, epsilon: PositiveFloat, **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        self.epsilon, self.head = epsilon, LinearSvm()
        self.register_buffer("rings", ring_means(self.resolution).double(), persistent=False)

    def features(self, images: Tensor) -> Tensor:
        """Azimuthal profile (B, rings) of the power in decibels, float64, of images (B, C, H, W), averaged to grey."""
        return 10 * torch.log10(grey_power(images).flatten(1) @ self.rings.T + self.epsilon**2)
