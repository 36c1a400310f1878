"""SAFE: the diagonal sub-band of a wavelet transform."""

import math
from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network, Standardised
from arena.detectors.techniques.cnn import DetectorAugmentation

HIGH_PASS = (-1 / math.sqrt(2), 1 / math.sqrt(2))
"""Analysis high-pass of the spline wavelet 1.3 (Cohen, Daubechies & Feauveau 1992), without its zeros.

A biorthogonal high-pass is the low-pass of the other side with every second sign flipped. That of 1.3 is the spline of
order 1, a mean of two. So the diagonal sub-band of bior1.3 is Haar's, and only its low-pass is longer.
"""


def diagonal_band(images: Tensor) -> Tensor:
    """Decimated sub-band HH (B, C, H // 2, W // 2) of images (B, C, H, W), without an extension of the border."""
    low, high = HIGH_PASS
    across = low * images[..., 0:-1:2] + high * images[..., 1::2]
    return low * across[..., 0:-1:2, :] + high * across[..., 1::2, :]


class Wavelet(NetworkDetector):
    """A network on the diagonal sub-band HH, where generators leave traces and images have little content.

    Paper: Li, Cai, Hao, Jiang, Hu & Feng (2025), "Improving synthetic image detection towards generalization" (SAFE).
    Differences: Training images are mirrored and turned by right angles. The paper also turns by any angle, jitters
    colours and masks patches. It has the first two stages of a ResNet-50; the default network is smaller.
    Blind spots: Horizontal and vertical stripes, which leave nothing in HH, and images after JPEG, which empties it.
    Example: ``battery.add=[wavelet]``

    Args:
        mirror: whether half of the training images are mirrored. By default it is ``data.mirror``.
        network: on the sub-band, resized to the size of the image.
    """

    artefact = "checkerboard"

    def __init__(self, *, mirror: bool = True, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.augmentation = DetectorAugmentation(self.levels, blur=0.0, jpeg=0.0, mirror=mirror, turn=True)
        self.network = Standardised(network(channels=self.channels, side=self.side), (self.channels, 1, 1))

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Images (B, C, side, side), each turned, and mirrored or not: one of the eight positions of a square."""
        return self.augmentation(images, rng)

    def representation(self, images: Tensor) -> Tensor:
        """Sub-band of images (B, C, side, side), resized to their size."""
        size = (self.side, self.side)
        return F.interpolate(diagonal_band(images), size=size, mode="bilinear", align_corners=False)
