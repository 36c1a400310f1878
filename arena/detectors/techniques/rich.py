"""The spatial rich model."""

from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Ridge
from arena.detectors.soft import places, soft_luma_chroma, soft_root
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


def runs_both_ways(residual: Tensor, step: float) -> Tensor:
    """Counts (B, 2, 625) of the runs down and across a residual (B, H, W) that is quantised by a step."""
    symbols = quantised(residual, step)
    return torch.stack([runs(symbols, dim) for dim in (1, 2)], dim=1)


def memberships(residual: Tensor, step: float) -> Tensor:
    """Shares (B, 5, ...) with which values of a residual (B, ...) of any values count for each symbol.

    A whole value counts for its own symbol alone. One between two whole values counts for the symbols of both, by
    nearness. With a step of 1 these are triangles. With larger steps, values whose neighbours have one symbol count
    for it wholly, without a slope.
    """
    lower = residual.detach().floor()
    above = residual - lower
    below, beyond = quantised(lower, step), quantised(lower + 1, step)
    shares = [torch.where(below == v, 1 - above, 0) + torch.where(beyond == v, above, 0) for v in range(VALUES)]
    return torch.stack(shares, dim=1)


def soft_runs(residual: Tensor, step: float) -> Tensor:
    """Counts as of ``runs_both_ways``, with a gradient: a run counts by the product of its four memberships."""
    members, counts = memberships(residual, step), []
    for turned in (members, members.mT.contiguous()):  # down, then across
        pairs = (turned[:, :, None, :-1] * turned[:, None, :, 1:]).flatten(1, 2)
        counts.append((pairs[:, :, :-2].flatten(2) @ pairs[:, :, 2:].flatten(2).mT).flatten(1))
    return torch.stack(counts, dim=1)


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
    Blind spots: Patterns longer than four neighbours, and all that a difference cancels. Counts have no gradient,
    so that live opponents learn on ``soft_features``.
    Example: ``battery.add=[rich]``

    Args:
        steps: of the quantisation of luma, in grey levels of the data, for a difference whose largest weight is 1.
        chroma_step: the same of chroma.
    """

    differentiable = False
    soft = True
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
        return torch.cat([self._roots(block, soft=False) for block in self._blocks(images)])

    def soft_features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, F), of images (B, C, H, W), with a gradient."""
        with torch.autocast(images.device.type, enabled=False):
            return torch.cat([self._roots(block, soft=True) for block in self._blocks(images)])

    def _blocks(self, images: Tensor) -> tuple[Tensor, ...]:
        return images.split(max(1, AT_ONCE // images[0, 0].numel()))

    def _roots(self, images: Tensor, soft: bool) -> Tensor:
        """Square roots of the shares (B, F) of one block of images."""
        planes = soft_luma_chroma(images, self.levels) if soft else luma_chroma(images, self.levels).round()
        roots = [self._of_a_plane(planes[:, 0], self.steps, soft)]
        if self.channels == 3:
            roots += [self._of_a_plane(chroma, [self.chroma_step], soft) for chroma in planes[:, 1:].unbind(1)]
            pixels = places(images, self.levels) if soft else ((images.float() + 1) * ((self.levels - 1) / 2)).round()
            roots += [_between_colours(pixels, soft)]
        return torch.cat(roots, dim=1)

    def _of_a_plane(self, plane: Tensor, steps: list[float], soft: bool) -> Tensor:
        """Roots of the shares (B, orders * steps * 2 * 325) of runs in a plane (B, H, W) and its transpose."""
        roots = []
        for order in ORDERS:
            residuals = [turned.diff(n=order) for turned in (plane, plane.mT.contiguous())]
            for step in steps:
                one, other = (_counted(residual, step * order, soft) for residual in residuals)
                for counts in (one + other).unbind(1):
                    folded = counts.new_zeros(len(counts), CLASSES).index_add(1, self.mirror, counts)
                    roots.append(_root_of_shares(folded, soft))
        return torch.cat(roots, dim=1)


def _counted(residual: Tensor, step: float, soft: bool) -> Tensor:
    """Counts (B, 2, 625) of the runs of a residual. Of soft ones the memberships are computed again going backward."""
    if not soft:
        return runs_both_ways(residual, step)
    return checkpoint(soft_runs, residual, step, use_reentrant=False, preserve_rng_state=False)


def _root_of_shares(counts: Tensor, soft: bool) -> Tensor:
    """Square roots (B, K) of the shares that counts (B, K) have in their sum."""
    total = counts.sum(1, keepdim=True)
    return soft_root(counts) / total.sqrt() if soft else (counts / total).sqrt()


def _between_colours(pixels: Tensor, soft: bool) -> Tensor:
    """Roots of the shares (B, orders * 125) of differences of the colours at one place, of pixels (B, 3, H, W)."""
    roots = []
    for order in ORDERS:
        counts = pixels.new_zeros(len(pixels), VALUES**3)
        for turned in (pixels, pixels.mT):
            difference = turned.diff(n=order)
            if soft:
                red, green, blue = (memberships(colour, order).flatten(2) for colour in difference.unbind(1))
                pairs = (red[:, :, None] * green[:, None]).flatten(1, 2)
                counts = counts + (pairs @ blue.mT).flatten(1)
            else:
                red, green, blue = quantised(difference, order).unbind(1)
                counts = counts + occurrences((red * VALUES + green) * VALUES + blue, VALUES**3)
        roots.append(_root_of_shares(counts, soft))
    return torch.cat(roots, dim=1)
