"""Fingerprints of generators in the residual of a denoiser."""

import math
from typing import Annotated, Unpack

import torch
from kornia.filters import gaussian_blur2d
from pydantic import Field
from torch import Tensor

from arena.detectors.base import CropSide, FittedDetector, ImageShape
from arena.detectors.heads import Sample, ScaledHead

NORM_FLOOR = 0.1
"""Grey levels added, in squares, to the deviation of a pixel: some pixels of some data are the same in every image."""


def normalised(residuals: Tensor) -> Tensor:
    """Residuals (B, F) less their mean, divided by their norm; a flat residual gives 0."""
    centred = residuals - residuals.mean(1, keepdim=True)
    return centred / (centred.square().sum(1, keepdim=True) + 1e-6).sqrt()


class FingerprintHead(ScaledHead):
    """Correlation of a residual with the mean residual of the fakes, less that with the mean residual of the reals.

    Each pixel is first divided by its deviation within the classes: a fingerprint hardly shows where content is busy.
    These are the maximum-likelihood weights of Chen, Fridrich, Goljan & Lukas (2008).
    """

    deviation: Tensor
    fingerprints: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("deviation", torch.zeros(0))
        self.register_buffer("fingerprints", torch.zeros(0, 2))  # of the reals, of the fakes

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Average the residuals of either class; nothing is random."""
        classes = [train.features[train.labels == label] for label in (0, 1)]
        variances = torch.stack([residuals.var(0, correction=0) for residuals in classes])
        self.deviation = (variances.mean(0) + NORM_FLOOR**2).sqrt().float()
        means = torch.stack([residuals.mean(0) for residuals in classes])
        self.fingerprints = normalised(means / self.deviation).T.float().contiguous()
        self.calibrate(validation)

    def margin(self, features: Tensor) -> Tensor:
        """Correlations (B,) of residuals (B, F) with the fakes' fingerprint, less those with the reals'."""
        real, fake = (normalised(features.float() / self.deviation) @ self.fingerprints).unbind(1)
        return fake - real


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
