"""Reconstruction errors in Haar bands, and a small head on them."""

import torch
from torch import Tensor, nn

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

    Args:
        side: of the images in pixels.
        hidden: units between the errors and the logit.
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
