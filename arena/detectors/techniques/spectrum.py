"""The azimuthal power spectrum."""

from typing import Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import LinearSvm
from arena.detectors.shared import shared, spectrum


def ring_means(resolution: int) -> Tensor:
    """Azimuthal average as a matrix (rings, resolution**2) over the cells of an unshifted 2-D FFT.

    The rings are those of the authors' ``azimuthalAverage``. In the shifted spectrum, ring k holds the cells whose
    distance from the middle (n - 1) / 2 of the array has the integer part k. The middle lies half a cell from zero
    frequency on either axis. The innermost ring is left out, with zero frequency in it, and so is the outermost, with
    the corner (n / 2, n / 2) in it. That makes 3 rings at 8 pixels, 20 at 32 and 43 at 64.

    >>> [len(ring_means(side)) for side in (8, 32, 64)]
    [3, 20, 43]
    """
    place = torch.arange(resolution) - (resolution - 1) / 2
    ring = torch.fft.ifftshift(torch.hypot(place[:, None], place[None]).floor().long()).flatten()
    member = (ring[None] == torch.arange(1, int(ring.max()))[:, None]).float()
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
    averages logarithms, in which one frequency among the hundred of a ring is lost. The profile is divided by its first
    entry, as in that code, but as power: in decibels the entry is subtracted. It is not interpolated. The SVM is linear
    and kept as a torch layer with exact gradients. The authors also tried a kernel of radial basis functions. Their
    epsilon of 1e-8 has an exploding gradient.
    Blind spots: The corner of the spectrum, in the ring that the authors leave out: a checkerboard of period 2 may
    pass. Also the direction of a frequency, phases, and the contrast of an image. Of 8x8 pixels three rings remain.
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
        """Azimuthal profile (B, rings - 1), float64, in decibels relative to its first entry.

        It is that of the power of images (B, C, H, W), averaged to grey.
        """
        profile = 10 * torch.log10(grey_power(images).flatten(1) @ self.rings.T + self.epsilon**2)
        return profile[:, 1:] - profile[:, :1]
