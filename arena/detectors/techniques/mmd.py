"""The witness of a kernel two-sample test on the features of another technique."""

import math
from typing import Annotated, Unpack

import torch
from pydantic import Field
from torch import Tensor

from arena.core.errors import error_context, require
from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import DEVIATION_FLOOR, Sample, ScaledHead, log_loss
from arena.detectors.techniques.oneclass import FeatureTechnique

WIDTHS = (0.01, 0.1, 1.0, 10.0)
"""Squared widths of the kernel, in units of the median squared distance between training images."""


def kernel(x: Tensor, points: Tensor, width: Tensor) -> Tensor:
    """Return the mean of rational quadratic kernels (B, P) between x (B, F) and points (P, F).

    Their exponents are 0.2, 1 and 5, and each is a mixture of Gaussian kernels of many widths. The mean is 1 at
    distance 0 and falls from there. Its gradient falls as a power of the distance, so that it reaches images far from
    all points.

    Args:
        x: features.
        points: further features.
        width: squared width of the kernel, a scalar.
    """
    squared = x.square().sum(1)[:, None] + points.square().sum(1) - 2 * x @ points.T
    ratio = squared.clamp_min(0) / (2 * width)
    slow, fast = 1 + ratio / 0.2, 1 + ratio / 5
    # A logarithm and products take half the time of general powers.
    return ((-0.2 * slow.log()).exp() + (1 + ratio).reciprocal() + (fast.square().square() * fast).reciprocal()) / 3


class Witness(ScaledHead):
    """Mean kernel between an image and the training fakes, less that between it and the training reals.

    That is the witness function of the maximum mean discrepancy (Gretton et al. 2012, section 2.3): the difference of
    its means over two samples is the test's statistic. Features are standardised. The width of the kernel has the least
    log loss on validation.

    Args:
        points: most images of each class that are kept, drawn at random.
    """

    mean: Tensor
    deviation: Tensor
    points: Tensor
    weights: Tensor
    width: Tensor

    def __init__(self, *, points: int) -> None:
        super().__init__()
        self.most = points
        for name in ("mean", "deviation", "weights", "width"):
            self.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        self.register_buffer("points", torch.zeros(0, 0, dtype=torch.float64))

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        """Keep points of both classes, and choose the width."""
        rng = torch.Generator().manual_seed(seed)
        x = train.features.double()
        self.mean, self.deviation = x.mean(0), x.std(0).clamp_min(DEVIATION_FLOOR)
        points, weights = list[Tensor](), list[Tensor]()
        for label, sign in ((0, -1), (1, 1)):
            of_class = x[train.labels == label]
            points.append(of_class[torch.randperm(len(of_class), generator=rng)[: self.most]])
            weights.append(torch.full((len(points[-1]),), sign / len(points[-1]), dtype=torch.float64))
        self.points, self.weights = (torch.cat(points) - self.mean) / self.deviation, torch.cat(weights)
        median, best, chosen = torch.pdist(self.points).square().median().clamp_min(DEVIATION_FLOOR), math.inf, None
        for factor in WIDTHS:
            self.width = factor * median
            self.calibrate(validation)
            loss = log_loss(self.logits(validation.features).numpy(), validation)
            if loss < best:
                best, chosen = loss, (self.width, self.scale)
        assert chosen is not None
        self.width, self.scale = chosen

    def margin(self, features: Tensor) -> Tensor:
        """Values (B,) of the witness function at features (B, F)."""
        return kernel((features.double() - self.mean) / self.deviation, self.points, self.width) @ self.weights


class Mmd(FittedDetector):
    """The kernel two-sample test as a judge: is an image rather among the fakes or among the reals?

    The maximum mean discrepancy of two samples is 0 only if both have one law, for a kernel such as this one.

    Paper: Gretton, Borgwardt, Rasch, Schoelkopf & Smola (2012), "A kernel two-sample test"; Kuebler, Jitkrittum,
    Schoelkopf & Muandet (2022), whose test is the mean of a witness function learned on other images.
    Differences: The test decides on samples, and a judge on an image. So the score is the witness function at that
    image. Liu et al. (2020) learn a network under the kernel for the power of the test. Here the features are those of
    another technique, and the width of the kernel is chosen on validation, from four about that of the median heuristic
    of Gretton et al. They have one Gaussian kernel. The average of rational quadratic ones follows Binkowski,
    Sutherland, Arbel & Gretton (2018).
    Blind spots: What the features do not show. Of many features, differences in a few are lost in the distance. It has
    no gradient where the features have none.
    Example: ``battery.add=[mmd]``

    Args:
        of: the technique whose features, and planted artefact, it takes.
        points: most training images of each class that are kept.
    """

    def __init__(
        self, *, of: FeatureTechnique, points: Annotated[int, Field(ge=2, le=8192)], **shape: Unpack[ImageShape]
    ) -> None:
        super().__init__(**shape)
        with error_context("of"):
            self.of = of(**shape)
        fitted = isinstance(self.of, FittedDetector)
        require(fitted, "of", type(self.of).__name__, "a technique of features under a head, such as cooccurrence")
        del self.of.head
        self.artefact, self.differentiable, self.soft = self.of.artefact, self.of.differentiable, self.of.soft
        self.head = Witness(points=points)

    def features(self, images: Tensor) -> Tensor:
        """Features (B, F) of the other technique, of images (B, C, H, W)."""
        return self.of.features(images)

    def soft_features(self, images: Tensor) -> Tensor:
        """Features (B, F) of the other technique, with a gradient where it has one."""
        return self.of.soft_features(images)
