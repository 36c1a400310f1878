"""The diagonal sub-band of a wavelet transform (SAFE: Li, Cai, Hao, Jiang, Hu & Feng 2025)."""

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.detectors.augmentation import DetectorAugmentation
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network, Standardised

HIGH_PASS = (-1 / math.sqrt(2), 1 / math.sqrt(2))
"""Analysis high-pass of the spline wavelet 1.3 (Cohen, Daubechies & Feauveau 1992), without its zeros.

A biorthogonal high-pass is the other side's low-pass with every second sign turned. That of 1.3 is the spline of order
1, a mean of two: so the diagonal sub-band of bior1.3 is Haar's, and only its low-pass is longer.
"""


def diagonal_band(images: Tensor) -> Tensor:
    """The decimated sub-band HH (B, C, H // 2, W // 2) of images (B, C, H, W).

    The rows and columns that a symmetric extension would add repeat what the border shows, and are left out.
    """
    low, high = HIGH_PASS
    across = low * images[..., 0:-1:2] + high * images[..., 1::2]
    return low * across[..., 0:-1:2, :] + high * across[..., 1::2, :]


class Wavelet(LearnedDetector):
    """A network on the sub-band HH, brought back to the size of the image.

    In training images are flipped and turned by right angles. The paper also turns them by any angle, jitters their
    colours and masks patches of 16 pixels; it has the first two stages of a ResNet-50, the default network is smaller.

    Args:
        network: on the sub-band.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.augmentation = DetectorAugmentation(self.levels, blur=0.0, jpeg=0.0, turn=True)
        self.network = Standardised(network(channels=self.channels, side=self.side), (self.channels, 1, 1))

    def prepare(self, images: Tensor) -> None:
        """Mean and deviation of the sub-band over the training images."""
        self.network.measure(self._resized(diagonal_band(images)))

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Each image (B, C, side, side) in one of the eight positions of a square, all as likely."""
        return self.augmentation(images, rng)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(self._resized(diagonal_band(images)))

    def _resized(self, band: Tensor) -> Tensor:
        """The sub-band (B, C, side, side)."""
        return F.interpolate(band, size=(self.side, self.side), mode="bilinear", align_corners=False)
