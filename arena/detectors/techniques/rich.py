"""The spatial rich model."""

from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Ridge
from arena.detectors.techniques.colour import luma_chroma

TRUNCATION = 2
VALUES = 2 * TRUNCATION + 1
ORDERS = (1, 2, 3)
"""Orders of the differences; the largest weight of each is its order, and steps are in units of it."""
RUN = 4
"""Neighbours in a co-occurrence."""
CLASSES = VALUES**2 * (VALUES**2 + 1) // 2
"""Runs, mirror images counted as one: 325."""
AT_ONCE = 1 << 17
"""Pixels counted at once, so that their planes fit a processor's cache."""


def quantised(residual: Tensor, step: float) -> Tensor:
    """Residual in whole steps, truncated to -2 to 2, plus 2: 0 to 4, as float, which holds them exactly."""
    return (residual / step).round_().clamp_(-TRUNCATION, TRUNCATION).add_(TRUNCATION)


def occurrences(code: Tensor, bins: int) -> Tensor:
    """Counts (B, bins), float, of each code 0 to bins - 1 among whole numbers (B, ...), kept as float."""
    first = bins * torch.arange(len(code), device=code.device)
    flat = code.flatten(1).add(first[:, None]).long()  # whole numbers below 2**24, which float32 holds exactly
    return torch.bincount(flat.flatten(), minlength=bins * len(code)).reshape(len(code), bins).float()


def runs(symbols: Tensor, dim: int) -> Tensor:
    """Counts (B, 625) of each run of four neighbours along an axis, among symbols 0 to 4, (B, H, W)."""
    extent = symbols.shape[dim]
    pair = torch.add(symbols.narrow(dim, 1, extent - 1), symbols.narrow(dim, 0, extent - 1), alpha=VALUES)
    run = torch.add(pair.narrow(dim, 2, extent - 3), pair.narrow(dim, 0, extent - 3), alpha=VALUES**2)
    return occurrences(run, VALUES**RUN)


def mirrored() -> Tensor:
    """Class (625,), of 325, of each of the 625 runs; a run and its mirror image have one class."""
    codes = torch.arange(VALUES**RUN).reshape([VALUES] * RUN)
    return torch.unique(torch.minimum(codes, codes.permute(3, 2, 1, 0)).flatten(), return_inverse=True)[1]


class Rich(FittedDetector):
    """Co-occurrences of truncated, quantised noise residuals: the most detailed statistics of a picture's noise.

    Residuals are differences of first to third order between neighbours, of luma and chroma, in several step sizes, cut
    off at two steps. Four neighbours along the difference or across it form one of 5**4 runs, and the features are the
    shares of the runs. Mirrored runs are one, and the transpose is counted with the picture: 325 features for each
    plane, order, step and direction. In colour, differences of red, green and blue at one place add 5**3 more.

    Paper: Fridrich & Kodovsky (2012), "Rich models for steganalysis"; in colour Goljan, Cogranne & Fridrich (2014).
    Differences: These are the linear residuals along either axis. The squares and edges of the authors added nothing on
    StyleGAN's faces, and minima and maxima are left out. Signs are kept apart, which the authors unite: light and dark
    are not alike in the noise of a photograph. Ridge regression on square roots of shares (a Hellinger kernel) replaces
    their ensemble of Fisher discriminants.
    Blind spots: Patterns longer than four neighbours, and all that a difference cancels. Counts have no gradient.
    Example: ``battery.add=[rich]``

    Args:
        steps: of the quantisation of luma, in grey levels of the data, for a difference whose largest weight is 1.
        chroma_step: the same of chroma.
    """

    differentiable = False
    artefact = "noise_residual"
    mirror: Tensor

    def __init__(
        self,
        *,
        steps: Annotated[list[PositiveFloat], Field(min_length=1)],
        chroma_step: PositiveFloat,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        self.steps, self.chroma_step, self.head = steps, chroma_step, Ridge(standardised=False)
        self.register_buffer("mirror", mirrored(), persistent=False)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, F), of images (B, C, H, W)."""
        at_once = max(1, AT_ONCE // images[0, 0].numel())
        return torch.cat([self._shares(block).sqrt() for block in images.split(at_once)])

    def _shares(self, images: Tensor) -> Tensor:
        """Shares (B, F) of one block of images."""
        planes = luma_chroma(images, self.levels).round()
        shares = [self._of_a_plane(planes[:, 0], self.steps)]
        if self.channels == 3:
            shares += [self._of_a_plane(chroma, [self.chroma_step]) for chroma in planes[:, 1:].unbind(1)]
            shares += [_between_colours(((images.float() + 1) * ((self.levels - 1) / 2)).round())]
        return torch.cat(shares, dim=1)

    def _of_a_plane(self, plane: Tensor, steps: list[float]) -> Tensor:
        """Shares (B, orders * steps * 2 * 325) of runs in a plane (B, H, W) and its transpose."""
        shares = []
        for order in ORDERS:
            residuals = [turned.diff(n=order) for turned in (plane, plane.mT.contiguous())]
            for step in steps:
                one, other = (quantised(residual, step * order) for residual in residuals)
                for dim in (1, 2):
                    counts = runs(one, dim) + runs(other, dim)
                    folded = counts.new_zeros(len(counts), CLASSES).index_add_(1, self.mirror, counts)
                    shares.append(folded / folded.sum(1, keepdim=True))
        return torch.cat(shares, dim=1)


def _between_colours(pixels: Tensor) -> Tensor:
    """Shares (B, orders * 125) of differences of the three colours at one place, of pixels (B, 3, H, W)."""
    shares = []
    for order in ORDERS:
        counts = pixels.new_zeros(len(pixels), VALUES**3)
        for turned in (pixels, pixels.mT):
            red, green, blue = quantised(turned.diff(n=order), order).unbind(1)
            counts += occurrences((red * VALUES + green) * VALUES + blue, VALUES**3)
        shares.append(counts / counts.sum(1, keepdim=True))
    return torch.cat(shares, dim=1)
