"""One-class detection: whatever does not look like the reals, by any technique's features (cf. Khalid & Woo 2020)."""

from typing import Literal, Protocol

from torch import Tensor

from arena.core.errors import error_context, require
from arena.detectors.base import FittedDetector
from arena.detectors.heads.oneclass import IsolationForest, Mahalanobis, SupportVectors

Method = Literal["mahalanobis", "svm", "forest"]
HEADS = {"mahalanobis": Mahalanobis, "svm": SupportVectors, "forest": IsolationForest}


class Fitted(Protocol):
    """Builds the technique whose features are used: what Hydra's ``_partial_`` leaves open."""

    def __call__(self, *, resolution: int, channels: int, levels: int) -> FittedDetector:
        """Build it for images of that shape."""
        ...


class OneClass(FittedDetector):
    """Distance from the reals alone: no generator is known, and so none need be feared in particular.

    The features are another technique's, whose own head is dropped; the distance is that of Mahalanobis, of a one-class
    support vector machine, or of an isolation forest. It has a gradient where the features have one, but never through
    the forest. Its own planted artefact is that of the features' technique. That one is a ``FittedDetector``, since
    what a network looks at was learned from fakes.

    Args:
        resolution, channels, levels: of the images.
        of: the technique whose features it looks at.
        method: ``mahalanobis``, ``svm`` or ``forest``.

    Raises:
        ArenaError: for an unknown method, or a technique that has no features: a network that learns by gradient.
        DoesNotApply: where the features' technique does not.
    """

    needs_fakes = False

    def __init__(self, *, resolution: int, channels: int, levels: int, of: Fitted, method: Method) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(method in HEADS, "method", method, f"one of {', '.join(HEADS)}")
        with error_context("of"):
            self.of = of(resolution=resolution, channels=channels, levels=levels)
        fitted = isinstance(self.of, FittedDetector)
        require(fitted, "of", type(self.of).__name__, "a technique of features under a head, such as forest")
        del self.of.head
        self.artefact = self.of.artefact
        self.differentiable = self.of.differentiable and method != "forest"
        self.head = HEADS[method]()

    def features(self, images: Tensor) -> Tensor:
        """The other technique's features (B, F) of images (B, C, H, W)."""
        return self.of.features(images)
