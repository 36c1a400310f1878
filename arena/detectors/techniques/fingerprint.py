"""Fingerprints of generators in the residual of a denoiser."""

import math
from typing import Annotated, Unpack

import torch
from kornia.filters import gaussian_blur2d
from pydantic import Field
from torch import Tensor

from arena.detectors.base import CropSide, FittedDetector, ImageShape
from arena.detectors.heads.nearest import FingerprintHead


class Fingerprint(FittedDetector):
    """A generator leaves the same pattern in every image, as a sensor does: correlation with the mean noise residual.

    The residual is the image less its denoised version. The mean over many images cancels the content.

    Paper: Marra, Gragnaniello, Verdoliva & Poggi (2019), "Do GANs leave artificial fingerprints?".
    Differences: The denoiser is a Gaussian filter, linear and with a gradient, where the authors have a wavelet filter.
    The residual is that of the channels' mean, in the middle of the image. Pixels are weighed by their noise (see
    ``FingerprintHead``).
    Blind spots: Any trace that moves with the content.
    Example: ``battery.add=[fingerprint]``

    Args:
        sigma: of the filter, in pixels, at most 3.
        crop: largest side of the centre crop, in native pixels.
    """

    differentiable = True
    artefact = "noise_residual"

    def __init__(
        self, *, sigma: Annotated[float, Field(gt=0, le=3)], crop: CropSide, **shape: Unpack[ImageShape]
    ) -> None:
        super().__init__(**shape)
        self.sigma, self.side, self.head = sigma, min(crop, self.resolution), FingerprintHead()

    def features(self, images: Tensor) -> Tensor:
        """Residual (B, side**2), in grey levels, of images (B, C, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            grey = images.float().mean(1, keepdim=True) * ((self.levels - 1) / 2)
            window = 2 * math.ceil(2 * self.sigma) + 1  # pixels
            residual = grey - gaussian_blur2d(grey, (window, window), (self.sigma, self.sigma))
            top, left = ((extent - self.side) // 2 for extent in residual.shape[-2:])
            return residual[..., top : top + self.side, left : left + self.side].flatten(1)
