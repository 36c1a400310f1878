"""AutoGAN: the log spectrum as an image."""

from typing import Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor

from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network
from arena.detectors.shared import spectrum

LOWEST, HIGHEST = 0.05, 0.95
FLATTEST = 1e-3
"""Least distance between the two quantiles: the spectrum of a flat image has none."""


class Fft(NetworkDetector):
    """A network on the log spectrum of each channel: up-sampling repeats the spectrum and leaves peaks.

    Paper: Zhang, Karaman & Chang (2019), "Detecting and simulating artifacts in GAN fake images" (AutoGAN).
    Differences: The authors simulate fakes by an autoencoder on reals; here fakes are the generator's own. They have a
    ResNet-34; the default network is smaller.
    Blind spots: Phases. A peak is clipped, and among the 64 frequencies of an 8x8 image it may pass for the content's
    own. The planted artefact is therefore ``checkerboard``, a peak where images have least energy.
    Example: ``battery.add=[fft]``

    Args:
        epsilon: added to a magnitude before its logarithm. The authors' 1e-3 for images in [0, 1] is 2e-3 here.
        network: on the spectrum.
    """

    artefact = "checkerboard"

    def __init__(self, *, epsilon: PositiveFloat, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.epsilon = epsilon
        self.network = network(channels=self.channels, side=self.side)

    def representation(self, images: Tensor) -> Tensor:
        """Log magnitude (B, C, H, W), fp32, of the unshifted FFT, scaled to [-1, 1] and clipped there.

        The ends are the 5th and the 95th percentile of each channel of each image.
        """
        with torch.autocast(images.device.type, enabled=False):
            logs = torch.log(spectrum(images).abs().float() + self.epsilon)
            ordered = logs.flatten(2).sort(-1).values
            low, high = (_quantile(ordered, share)[..., None, None] for share in (LOWEST, HIGHEST))
            return (2 * (logs - low) / (high - low).clamp_min(FLATTEST) - 1).clamp(-1, 1)


def _quantile(ordered: Tensor, share: float) -> Tensor:
    """Linearly interpolated quantile (B, C) of ordered values (B, C, N); torch.quantile refuses large batches."""
    below, part = divmod(share * (ordered.shape[-1] - 1), 1)
    return ordered[..., int(below)].lerp(ordered[..., int(below) + 1], part)
