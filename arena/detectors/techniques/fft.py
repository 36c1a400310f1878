"""The log spectrum as an image (AutoGAN: Zhang, Karaman & Chang 2019)."""

from typing import Unpack

import torch
from torch import Tensor

from arena.core.errors import require
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network
from arena.detectors.shared import spectrum

LOWEST, HIGHEST = 0.05, 0.95
FLATTEST = 1e-3
"""Least distance of the two quantiles: the spectrum of a flat image has none."""


def log_spectrum(images: Tensor, epsilon: float) -> Tensor:
    """Log magnitude (B, C, H, W) of the unshifted FFT, its 5th and 95th percentile at -1 and 1, clipped there; fp32.

    The percentiles are those of each channel of each image.
    """
    with torch.autocast(images.device.type, enabled=False):
        logs = torch.log(spectrum(images).abs().float() + epsilon)
        ordered = logs.flatten(2).sort(-1).values
        low, high = (_quantile(ordered, share)[..., None, None] for share in (LOWEST, HIGHEST))
        return (2 * (logs - low) / (high - low).clamp_min(FLATTEST) - 1).clamp(-1, 1)


def _quantile(ordered: Tensor, share: float) -> Tensor:
    """Quantile (B, C), between neighbours by a straight line, of ordered values (B, C, N).

    From one sort for both, since torch.quantile refuses large batches.
    """
    below, part = divmod(share * (ordered.shape[-1] - 1), 1)
    return ordered[..., int(below)].lerp(ordered[..., int(below) + 1], part)


class Fft(LearnedDetector):
    """A network on the log spectrum of each channel, as if that were the image.

    Up-sampling in a generator repeats the spectrum, and leaves peaks. The authors learn from real images sent through
    an autoencoder; here the fakes are the generator's own. They have a ResNet-34; the default is smaller.

    It sees no phase, and a peak is clipped: among the 64 frequencies of an 8x8 image it may be taken for the image's
    own. Its planted artefact is therefore ``checkerboard``, a peak where images have least.

    Args:
        epsilon: added to a magnitude before its logarithm; the authors' 1e-3 of images in [0, 1] is 2e-3 here.
        network: on the spectrum.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, epsilon: float, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        require(epsilon > 0, "epsilon", epsilon, "above 0")
        self.epsilon = epsilon
        self.network = network(channels=self.channels, side=self.side)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(log_spectrum(images, self.epsilon))
