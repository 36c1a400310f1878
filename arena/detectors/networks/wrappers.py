"""Wrappers of a network: standardised input, a trunk with a linear head, and features of reconstruction errors."""

from abc import ABC, abstractmethod
from typing import Protocol

import torch
from torch import Tensor, nn

from arena.detectors.shared import shared


class Network(Protocol):
    """Builds a network of (B, channels, side, side) to logits (B,): what Hydra's ``_partial_`` leaves open."""

    def __call__(self, *, channels: int, side: int) -> nn.Module:
        """Build it for planes of that many channels and that side in pixels."""
        ...


class Trunk(nn.Module, ABC):
    """Images to maps of features at several depths, each no larger than the one before."""

    widths: tuple[int, ...]
    """Channels of each map."""

    @abstractmethod
    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps (B, width, h, w) of x (B, channels, side, side), as many as ``widths``."""


class TrunkFactory(Protocol):
    """Builds a trunk: what Hydra's ``_partial_`` leaves open."""

    def __call__(self, *, channels: int, side: int) -> Trunk:
        """Build it for planes of that many channels and that side in pixels."""
        ...


DEVIATION_FLOOR = 1e-3
"""Least deviation: what hardly varies over the training images is not blown up."""


class Standardised(nn.Module):
    """A network that sees standardised features.

    What residuals leave of an image is a few grey levels: a network that begins without a normalisation would hardly
    see them beside its own offsets.

    Args:
        network: of features (B, C, H, W) to logits (B,).
        shape: of the mean and the deviation: (C, H, W) for one of each feature, (C, 1, 1) for one of each plane.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("deviation", torch.ones(shape))

    @torch.no_grad()
    def measure(self, features: Tensor) -> None:
        """Take mean and deviation over features (N, C, H, W) of training images; until then nothing is changed."""
        over = [0, *(k + 1 for k, extent in enumerate(self.mean.shape) if extent == 1)]
        self.mean.copy_(features.mean(over, keepdim=True)[0])
        self.deviation.copy_(features.std(over, keepdim=True)[0].clamp_min(DEVIATION_FLOOR))

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B,) of features (B, C, H, W)."""
        return self.network((features - self.mean) / self.deviation)


SMALLEST = 4
"""Pixels of the coarsest band."""
ERROR_FLOOR = 1e-3
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
        return torch.log(torch.cat(means, dim=1) + ERROR_FLOOR)


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
