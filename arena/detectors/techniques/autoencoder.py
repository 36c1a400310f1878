"""Reconstruction error of an autoencoder trained on photographs."""

from typing import Unpack

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.shared import shared

SMALLEST = 4
"""Side in pixels of the coarsest band."""
ERROR_FLOOR = 1e-3
"""Added to an error before its logarithm: an eighth of a grey level of 256."""


def bands(images: Tensor) -> list[Tensor]:
    """Haar transform (Haar 1910; Mallat 1989) of images (B, C, H, W), scaled to keep mean values.

    Returns:
        The details (B, 3, C, h, w) of each level, horizontal, vertical and diagonal. Last comes the remaining image
        (B, 1, C, h, w), of fewer than ``2 * SMALLEST`` pixels or of an odd number.
    """
    levels = []
    while min(images.shape[-2:]) >= 2 * SMALLEST and not any(extent % 2 for extent in images.shape[-2:]):
        even, odd = images.unflatten(-1, (-1, 2)).unbind(-1)
        along = torch.stack([even + odd, even - odd]) / 2
        even, odd = along.unflatten(-2, (-1, 2)).unbind(-2)
        down, across = (even + odd) / 2, (even - odd) / 2
        levels.append(torch.stack([down[1], across[0], across[1]], dim=1))
        images = down[0]
    return [*levels, images[:, None]]


@shared
def log_errors(difference: Tensor) -> Tensor:
    """Log mean absolute value (B, bands), fp32, of each band of difference images (B, C, H, W)."""
    with torch.autocast(difference.device.type, enabled=False):
        means = [band.abs().mean((2, 3, 4)) for band in bands(difference.float())]
        return torch.log(torch.cat(means, dim=1) + ERROR_FLOOR)


class ErrorHead(nn.Module):
    """Logits from the reconstruction error in each band, beside the content of the band.

    Any network reconstructs a flat image, so that an error says little without the content.
    """

    def __init__(self, *, side: int, hidden: int) -> None:
        super().__init__()
        count = sum(band.shape[1] for band in bands(torch.zeros(1, 1, side, side)))
        self.norm = nn.BatchNorm1d(2 * count, affine=False)
        self.layers = nn.Sequential(nn.Linear(2 * count, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, images: Tensor, reconstructions: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side) and their reconstructions, of the same shape."""
        features = torch.cat([log_errors(images - reconstructions), log_errors(images)], dim=1)
        return self.layers(self.norm(features)).squeeze(1)


class Bottleneck(nn.Module):
    """A convolutional autoencoder of ``width`` channels, then twice as many; its code has a quarter of the side."""

    def __init__(self, *, channels: int, width: int, code: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, code, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(code, 2 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions of images (B, C, H, W), of the same shape."""
        return self.decoder(self.encoder(images))[..., : images.shape[-2], : images.shape[-1]]


class Autoencoder(LearnedDetector):
    """An autoencoder learns to reconstruct reals; a small head learns from its error in every Haar band.

    Paper: Japkowicz, Myers & Gluck (1995), novelty detection by an autoencoder.
    Differences: The authors threshold the total error. Here a head trained on both classes weighs the error of each
    band against its content. AEROBLADE (Ricker, Lukovnikov & Fischer 2024) uses the autoencoders of diffusion models,
    which reconstruct fakes better than photographs. Fakes also err less here where a GAN is smoother than a photograph.
    Blind spots: It sees the mean error of a band and not its place. Fakes as rough as photographs in every band pass.
    Example: ``battery.add=[autoencoder]``

    Args:
        width: channels of the first layer of the autoencoder.
        code: channels of its code.
        hidden: units of the head.
    """

    artefact = "checkerboard"

    def __init__(
        self, *, width: PositiveInt, code: PositiveInt, hidden: PositiveInt, **keywords: Unpack[Keywords]
    ) -> None:
        super().__init__(**keywords)
        self.autoencoder = Bottleneck(channels=self.channels, width=width, code=code)
        self.head = ErrorHead(side=self.side, hidden=hidden)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head(images, self.autoencoder(images))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Sum of the cross-entropy of the head and the mean absolute error on the reals, with separate gradients."""
        reconstructions = self.autoencoder(images)
        cross_entropy = F.binary_cross_entropy_with_logits(self.head(images, reconstructions.detach()).float(), labels)
        errors = (reconstructions - images).float().abs().mean((1, 2, 3))
        return cross_entropy + (errors * (1 - labels)).sum() / (1 - labels).sum().clamp_min(1)
