"""Boosted trees on hand-made statistics."""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.detectors.shared import shared
from arena.detectors.trees import BoostedDetector

TRUNCATION = 2
SHARES = 2 * TRUNCATION + 1
AT_ONCE = 1 << 17
"""Pixels computed at once, so that they fit a processor's cache."""
TINY = 1e-14
"""Least variance, whose root has a slope."""


@shared
def statistics(images: Tensor, levels: int) -> Tensor:
    """Statistics (B, F) of images (B, C, H, W), in grey levels of the data.

    Of the pixels: four moments, and the shares at either end of the range. Of each residual: deviation, kurtosis,
    correlation with its neighbour, and the shares of its truncated values -2 to 2. All are averaged over the channels.
    Colour adds the correlations between channels.
    """
    return torch.cat([_statistics(block, levels) for block in images.split(max(1, AT_ONCE // images[0].numel()))])


def soft_statistics(images: Tensor, levels: int) -> Tensor:
    """Statistics (B, F) of images (B, C, H, W) with a gradient: a count is linear between two grey levels."""
    return _statistics(images, levels, soft=True)


def _statistics(images: Tensor, levels: int, soft: bool = False) -> Tensor:
    """``statistics`` of one block."""
    pixels = (images.float() + 1) * ((levels - 1) / 2)
    black, white = (1 - pixels, pixels - (levels - 2)) if soft else ((pixels <= 0), (pixels >= levels - 1))
    ends = [end.float().clamp(0, 1).mean((2, 3)) for end in (black, white)]
    of_pixels = torch.stack([*_moments(pixels), *ends], dim=2)
    filtered = residuals(pixels)
    _, deviation, _, kurtosis = _moments(filtered)
    neighbours = (filtered[..., 1:] * filtered[..., :-1]).mean((3, 4)) / (deviation.square() + 1e-6)
    shares = _soft_truncated(filtered) if soft else _truncated(filtered)
    of_residuals = torch.cat([torch.stack([deviation, kurtosis, neighbours], dim=3), shares], dim=3)
    features = torch.cat([of_pixels, of_residuals.flatten(2)], dim=2).mean(1).double()
    if pixels.shape[1] == 3:
        centred = pixels - pixels.mean((2, 3), keepdim=True)
        deviation = centred.square().mean((2, 3), keepdim=True).clamp_min(TINY).sqrt()
        red, green, blue = (centred / (deviation + 1e-3)).unbind(1)
        pairs = [(one * two).mean((1, 2)) for one, two in ((red, green), (red, blue), (green, blue))]
        features = torch.cat([features, torch.stack(pairs, 1)], dim=1)
    return features


def residuals(pixels: Tensor) -> Tensor:
    """High-pass residuals (B, C, 5, H-2, W-2) of pixels (B, C, H, W): axial differences and the square 3x3 filter."""
    centre = pixels[..., 1:-1, 1:-1]
    up, down, left, right = pixels[..., :-2, 1:-1], pixels[..., 2:, 1:-1], pixels[..., 1:-1, :-2], pixels[..., 1:-1, 2:]
    corners = pixels[..., :-2, :-2] + pixels[..., :-2, 2:] + pixels[..., 2:, :-2] + pixels[..., 2:, 2:]
    along, across = left + right, up + down
    second = [along - 2 * centre, across - 2 * centre]
    square = 2 * (along + across) - corners - 4 * centre
    return torch.stack([right - centre, down - centre, *second, square], dim=2)


def _truncated(filtered: Tensor) -> Tensor:
    """Shares (B, C, R, 5) of the values of residuals (B, C, R, H, W), rounded and truncated to -2 to 2."""
    symbols = filtered.round().clamp_(-TRUNCATION, TRUNCATION).add_(TRUNCATION).flatten(3)
    planes = torch.arange(symbols[..., 0].numel(), device=symbols.device).reshape(*symbols.shape[:3], 1)
    counts = torch.bincount((symbols.long() + SHARES * planes).flatten(), minlength=SHARES * planes.numel())
    return counts.reshape(*symbols.shape[:3], SHARES) / symbols.shape[3]


def _soft_truncated(filtered: Tensor) -> Tensor:
    """Shares (B, C, R, 5) as ``_truncated`` has them of whole values. A value between two of them counts for both.

    The mean part of a step from one value to the next is the share above it, so that shares are differences of these.
    """
    values = range(-TRUNCATION, TRUNCATION)
    above = torch.stack([filtered.clamp(value, value + 1).mean((3, 4)) - value for value in values], dim=3)
    return F.pad(above, (1, 0), value=1.0) - F.pad(above, (0, 1))


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, deviation, skewness and kurtosis (...) over the pixels of (..., H, W)."""
    mean = x.mean((-2, -1), keepdim=True)
    centred = x - mean
    square = centred.square()
    deviation = square.mean((-2, -1)).clamp_min(TINY).sqrt()
    scale = deviation + 1e-3
    return (
        mean[..., 0, 0],
        deviation,
        (square * centred).mean((-2, -1)) / scale.pow(3),
        square.square().mean((-2, -1)) / scale.pow(4),
    )


class Forest(BoostedDetector):
    """Gradient boosting on hand-made statistics of pixels and residuals: a technique without any gradient.

    Paper: Exposure after McCloskey & Albright (2018), residuals after the rich models of Fridrich & Kodovsky (2012),
    trees after Friedman (2001).
    Differences: It is no published detector. It combines about fifty statistics of these papers.
    Blind spots: Patterns beyond the next neighbour, and the place of any trace, since all statistics are averages.
    Example: ``battery.add=[forest]``

    Args:
        trees, leaves, learning_rate, patience: of the boosting, see ``Trees``.
    """

    artefact = "noise_residual"
    soft = True

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Statistics (B, F) of images (B, C, H, W)."""
        return statistics(images, self.levels)

    def soft_features(self, images: Tensor) -> Tensor:
        """Statistics (B, F) of images (B, C, H, W), with a gradient."""
        return soft_statistics(images, self.levels)
