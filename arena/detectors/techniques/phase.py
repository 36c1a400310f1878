"""SPSL: the phase spectrum as a further channel of a shallow network."""

from typing import Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor

from arena.detectors.base import Keywords, NetworkDetector
from arena.detectors.networks.wrappers import Network
from arena.detectors.shared import spectrum


def phase_image(images: Tensor, epsilon: float) -> Tensor:
    """Grey image (B, 1, H, W), float32, in which every frequency of images (B, C, H, W) has the same magnitude.

    Args:
        images: averaged to grey.
        epsilon: magnitude below which a frequency fades out, since its phase is not defined at 0.

    Returns:
        Values of root mean square 1 where all magnitudes are far above ``epsilon``.
    """
    with torch.autocast(images.device.type, enabled=False):
        waves = spectrum(images.mean(1, keepdim=True))
        unit = waves / (waves.real.square() + waves.imag.square() + epsilon**2).sqrt()
        side = (images.shape[-2] * images.shape[-1]) ** 0.5
        return (torch.fft.ifft2(unit).real * side).float()


class Phase(NetworkDetector):
    """Up-sampling shows in the phase spectrum, and locally: a shallow network on the image and its phase alone.

    The phase spectrum is turned back to an image, in which every frequency weighs the same, and joins the channels of
    the image. Early layers see textures rather than faces.

    Paper: Liu, Li, Zhou, Chen, He, Xue, Zhang & Yu (2021), "Spatial-phase shallow learning" (SPSL).
    Differences: The paper has an Xception without most of its middle, trained on ImageNet. The default network is two
    residual blocks from scratch. Frequencies fade out near magnitude 0, where the authors' phase jumps and has no
    gradient. The phase image is scaled to a mean square of 1.
    Blind spots: Structure larger than the receptive field, and magnitudes, except in the image itself.
    Example: ``battery.add=[phase]``

    Args:
        epsilon: magnitude at which a frequency fades out; 1e-2 is about one pixel's change by one level of 256.
        network: on the channels of the image and the phase image.
    """

    artefact = "spectral_peak"

    def __init__(self, *, epsilon: PositiveFloat, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.epsilon = epsilon
        self.network = network(channels=self.channels + 1, side=self.side)

    def representation(self, images: Tensor) -> Tensor:
        """Images (B, C, side, side) and their phase image, (B, C + 1, side, side)."""
        return torch.cat([images.float(), phase_image(images, self.epsilon)], dim=1)
