"""Boosted trees on hand-made statistics: a technique without any gradient."""

import torch
from torch import Tensor

from arena.detectors.base import FittedDetector
from arena.detectors.heads.trees import Trees
from arena.detectors.shared import shared

TRUNCATION = 2
SHARES = 2 * TRUNCATION + 1
# Pixels taken at once, so that their planes fit a processor's cache.
AT_ONCE = 1 << 17


@shared
def statistics(images: Tensor, levels: int) -> Tensor:
    """Statistics (B, F) of images (B, C, H, W), in grey levels of the data.

    Of the pixels: four moments, and the shares at either end of the range (McCloskey & Albright 2018). Of each
    residual: deviation, kurtosis, correlation with its neighbour, and the shares of its truncated values -2 to 2, as
    in the rich models. Averaged over the channels; with colour, the correlations between channels too.
    """
    return torch.cat([_statistics(block, levels) for block in images.split(max(1, AT_ONCE // images[0].numel()))])


def _statistics(images: Tensor, levels: int) -> Tensor:
    """``statistics`` of one block."""
    pixels = (images.float() + 1) * ((levels - 1) / 2)
    columns = [*_moments(pixels), _share(pixels <= 0), _share(pixels >= levels - 1)]
    for residual in residuals(pixels):
        _, deviation, _, kurtosis = _moments(residual)
        neighbours = (residual[..., 1:] * residual[..., :-1]).mean((2, 3)) / (deviation.square() + 1e-6)
        columns += [deviation, kurtosis, neighbours, *_truncated(residual).unbind(2)]
    features = torch.stack([column.mean(1) for column in columns], dim=1).double()
    if pixels.shape[1] == 3:
        centred = pixels - pixels.mean((2, 3), keepdim=True)
        red, green, blue = (centred / (centred.square().mean((2, 3), keepdim=True).sqrt() + 1e-3)).unbind(1)
        pairs = [(one * two).mean((1, 2)) for one, two in ((red, green), (red, blue), (green, blue))]
        features = torch.cat([features, torch.stack(pairs, 1)], dim=1)
    return features


def residuals(pixels: Tensor) -> list[Tensor]:
    """High-pass residuals (B, C, H-2, W-2) of the rich models (Fridrich & Kodovsky 2012) of pixels (B, C, H, W).

    First and second differences along either axis, and the square 3x3.
    """
    centre = pixels[..., 1:-1, 1:-1]
    up, down, left, right = pixels[..., :-2, 1:-1], pixels[..., 2:, 1:-1], pixels[..., 1:-1, :-2], pixels[..., 1:-1, 2:]
    corners = pixels[..., :-2, :-2] + pixels[..., :-2, 2:] + pixels[..., 2:, :-2] + pixels[..., 2:, 2:]
    along, across = left + right, up + down
    second = [along - 2 * centre, across - 2 * centre]
    return [right - centre, down - centre, *second, 2 * (along + across) - corners - 4 * centre]


def _share(of: Tensor) -> Tensor:
    """Share (B, C) of the pixels for which a condition (B, C, H, W) holds."""
    return of.float().mean((2, 3))


def _truncated(residual: Tensor) -> Tensor:
    """Shares (B, C, 5) of a residual's (B, C, H, W) values, rounded and cut off at -2 and 2."""
    symbols = residual.round().clamp_(-TRUNCATION, TRUNCATION).add_(TRUNCATION).flatten(2)
    planes = torch.arange(symbols[..., 0].numel(), device=symbols.device).reshape(*symbols.shape[:2], 1)
    counts = torch.bincount((symbols.long() + SHARES * planes).flatten(), minlength=SHARES * planes.numel())
    return counts.reshape(*symbols.shape[:2], SHARES) / symbols.shape[2]


def _moments(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean, deviation, skewness and kurtosis (B, C) over the pixels."""
    mean = x.mean((2, 3), keepdim=True)
    centred = x - mean
    square = centred.square()
    deviation = square.mean((2, 3)).sqrt()
    scale = deviation + 1e-3
    return (
        mean[..., 0, 0],
        deviation,
        (square * centred).mean((2, 3)) / scale.pow(3),
        square.square().mean((2, 3)) / scale.pow(4),
    )


class Forest(FittedDetector):
    """Gradient boosting on ``statistics``.

    Args:
        resolution, channels, levels: of the images.
        trees, leaves, learning_rate, patience: of the boosting, see ``Trees``.
    """

    differentiable = False
    artefact = "checkerboard"

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        trees: int,
        leaves: int,
        learning_rate: float,
        patience: int,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        self.head = Trees(trees=trees, leaves=leaves, learning_rate=learning_rate, patience=patience)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """The statistics (B, F) of images (B, C, H, W)."""
        return statistics(images, self.levels)
