"""Fingerprints of generators in the residual of a denoiser (Marra, Gragnaniello, Verdoliva & Poggi 2019)."""

import math

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from arena.core.errors import require
from arena.detectors.base import FittedDetector
from arena.detectors.heads.linear import FingerprintHead


class Fingerprint(FittedDetector):
    """What a generator leaves in every picture at the same place, as a sensor does.

    The residual of a picture is what a denoiser takes from it; averaged over many pictures the content goes and the
    fingerprint stays. It sees patterns that keep their place, and is blind to whatever moves with the content.

    The denoiser is a Gaussian filter, which is linear and has a gradient, where the authors use a wavelet filter. Of
    the residual it sees the mean of the channels in the middle of the image.

    Args:
        resolution, channels, levels: of the images.
        sigma: of the filter, in pixels.
        crop: largest side, in native pixels, of what it looks at in the middle.
    """

    differentiable = True
    artefact = "noise_residual"

    def __init__(self, *, resolution: int, channels: int, levels: int, sigma: float, crop: int) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(0 < sigma <= 3, "sigma", sigma, "above 0, at most 3 pixels")
        require(crop >= 8, "crop", crop, "at least 8 pixels")
        self.sigma, self.side, self.head = sigma, min(crop, resolution), FingerprintHead()

    def features(self, images: Tensor) -> Tensor:
        """Residual (B, side**2), in grey levels, of images (B, C, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            grey = images.float().mean(1, keepdim=True) * ((self.levels - 1) / 2)
            reach = 2 * math.ceil(2 * self.sigma) + 1  # pixels
            residual = grey - gaussian_blur2d(grey, (reach, reach), (self.sigma, self.sigma))
            top, left = ((extent - self.side) // 2 for extent in residual.shape[-2:])
            return residual[..., top : top + self.side, left : left + self.side].flatten(1)
