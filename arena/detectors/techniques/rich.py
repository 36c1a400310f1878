"""The spatial rich model (Fridrich & Kodovsky 2012; in colour Goljan, Cogranne & Fridrich 2014), with ridge."""

import torch
from torch import Tensor

from arena.core.errors import require
from arena.detectors.base import FittedDetector
from arena.detectors.heads.linear import Ridge
from arena.detectors.techniques.colour import luma_chroma

TRUNCATION = 2
VALUES = 2 * TRUNCATION + 1
ORDERS = (1, 2, 3)
"""Of the differences; the largest weight in each is its order, and steps are in units of it."""
RUN = 4
"""Neighbours in a co-occurrence."""
CLASSES = VALUES**2 * (VALUES**2 + 1) // 2
"""Runs, where those that mirror each other are one: 325."""
AT_ONCE = 1 << 17
"""Pixels counted at once, so that their planes fit a processor's cache."""


def quantised(residual: Tensor, step: float) -> Tensor:
    """Residual in whole steps, -2 to 2, with 2 added: 0 to 4, as float, which holds them exactly."""
    return (residual / step).round_().clamp_(-TRUNCATION, TRUNCATION).add_(TRUNCATION)


def occurrences(code: Tensor, bins: int) -> Tensor:
    """How often each code 0 to bins - 1 occurs: float (B, bins) of whole numbers (B, ...) kept as float."""
    first = bins * torch.arange(len(code), device=code.device)
    flat = code.flatten(1).add(first[:, None]).long()  # whole numbers below 2**24, which float32 holds exactly
    return torch.bincount(flat.flatten(), minlength=bins * len(code)).reshape(len(code), bins).float()


def runs(symbols: Tensor, dim: int) -> Tensor:
    """How often each run of four neighbours along an axis occurs: (B, 625) of symbols 0 to 4, (B, H, W)."""
    extent = symbols.shape[dim]
    pair = torch.add(symbols.narrow(dim, 1, extent - 1), symbols.narrow(dim, 0, extent - 1), alpha=VALUES)
    run = torch.add(pair.narrow(dim, 2, extent - 3), pair.narrow(dim, 0, extent - 3), alpha=VALUES**2)
    return occurrences(run, VALUES**RUN)


def mirrored() -> Tensor:
    """To which of the 325 classes each of the 625 runs belongs (625,)."""
    codes = torch.arange(VALUES**RUN).reshape([VALUES] * RUN)
    return torch.unique(torch.minimum(codes, codes.permute(3, 2, 1, 0)).flatten(), return_inverse=True)[1]


class Rich(FittedDetector):
    """Which values of a picture's noise stand side by side.

    Of luma and chroma, differences of first to third order between neighbours, in steps of several sizes, cut off at
    two steps: each of four neighbours along the difference, or across it, is one of 5, and every one of 5**4 runs has
    its share. Runs that mirror each other are one, and a picture's transpose is counted with it: 325 features for each
    plane, order, step and direction. In colour, the same differences of red, green and blue at one place make 5**3
    more. Signs are kept apart, which the authors unite: light and dark are not alike in a photograph's noise.

    Here are the linear residuals along either axis alone, without the authors' squares and edges, which added nothing
    on StyleGAN's faces, and without their minima and maxima; and ridge regression on the square roots of the shares (a
    Hellinger kernel), the shrunk form of Fisher's discriminant, where they train an ensemble of such. They are counts
    and have no gradient.

    Args:
        resolution, channels, levels: of the images.
        steps: of the quantisation of luma, in grey levels of the data, for a difference whose largest weight is 1.
        chroma_step: the same of chroma.
    """

    differentiable = False
    artefact = "checkerboard"
    mirror: Tensor

    def __init__(self, *, resolution: int, channels: int, levels: int, steps: list[float], chroma_step: float) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(len(steps) > 0 and all(step > 0 for step in steps), "steps", steps, "grey levels above 0")
        require(chroma_step > 0, "chroma_step", chroma_step, "above 0")
        self.steps, self.chroma_step, self.head = steps, chroma_step, Ridge(standardised=False)
        self.register_buffer("mirror", mirrored(), persistent=False)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Square roots of the shares, (B, F), of images (B, C, H, W)."""
        at_once = max(1, AT_ONCE // images[0, 0].numel())
        return torch.cat([self._shares(block).sqrt() for block in images.split(at_once)])

    def _shares(self, images: Tensor) -> Tensor:
        """The shares (B, F) of some images."""
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
            residuals = [way.diff(n=order) for way in (plane, plane.mT.contiguous())]
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
        for way in (pixels, pixels.mT):
            red, green, blue = quantised(way.diff(n=order), order).unbind(1)
            counts += occurrences((red * VALUES + green) * VALUES + blue, VALUES**3)
        shares.append(counts / counts.sum(1, keepdim=True))
    return torch.cat(shares, dim=1)
