"""What the error of a reconstruction says: how large it is at each scale and in each direction."""

import torch
from torch import Tensor, nn

from arena.detectors.shared import shared

SMALLEST = 4
"""Pixels of the coarsest band."""
FLOOR = 1e-3
"""Added to an error before its logarithm: an eighth of a grey level of 256."""


def bands(images: Tensor) -> list[Tensor]:
    """The Haar transform (Haar 1910; Mallat 1989) of images (B, C, H, W), level by level, scaled to keep mean values.

    Returns:
        of every level its details (B, 3, C, h, w), horizontal, vertical and diagonal, and last what is left over,
        (B, 1, C, h, w), of fewer than ``2 * SMALLEST`` pixels or an odd number.
    """
    found = []
    while min(images.shape[-2:]) >= 2 * SMALLEST and not any(extent % 2 for extent in images.shape[-2:]):
        even, odd = images.unflatten(-1, (-1, 2)).unbind(-1)
        along = torch.stack([even + odd, even - odd]) / 2
        even, odd = along.unflatten(-2, (-1, 2)).unbind(-2)
        down, across = (even + odd) / 2, (even - odd) / 2
        found.append(torch.stack([down[1], across[0], across[1]], dim=1))
        images = down[0]
    return [*found, images[:, None]]


@shared
def log_errors(difference: Tensor) -> Tensor:
    """Logarithm of the mean absolute difference (B, bands), fp32, in each band of images (B, C, H, W)."""
    with torch.autocast(difference.device.type, enabled=False):
        means = [band.abs().mean((2, 3, 4)) for band in bands(difference.float())]
        return torch.log(torch.cat(means, dim=1) + FLOOR)


class ErrorHead(nn.Module):
    """Logits of images by how far off their reconstructions are, beside how much there was to make.

    Any network makes a flat image again, so that an error says little without the content of its band.

    Args:
        side: of the images in pixels.
        hidden: units between the errors and the logit.
    """

    def __init__(self, *, side: int, hidden: int) -> None:
        super().__init__()
        count = sum(band.shape[1] for band in bands(torch.zeros(1, 1, side, side)))
        self.norm = nn.BatchNorm1d(2 * count, affine=False)
        self.layers = nn.Sequential(nn.Linear(2 * count, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, images: Tensor, made: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side) and their reconstructions, of the same shape."""
        features = torch.cat([log_errors(images - made), log_errors(images)], dim=1)
        return self.layers(self.norm(features)).squeeze(1)
