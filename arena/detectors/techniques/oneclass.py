"""One-class detection on the features of another technique."""

from typing import Literal, Protocol, Unpack

from torch import Tensor

from arena.core.errors import error_context, require
from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads.oneclass import IsolationForest, Mahalanobis, SupportVectors

Method = Literal["mahalanobis", "svm", "forest"]
HEADS = {"mahalanobis": Mahalanobis, "svm": SupportVectors, "forest": IsolationForest}


class FeatureTechnique(Protocol):
    """Factory of the technique whose features are used, as Hydra's ``_partial_`` leaves it."""

    def __call__(self, *, resolution: int, channels: int, levels: int) -> FittedDetector:
        """Build the technique for images of that shape."""
        ...


class OneClass(FittedDetector):
    """The distance of an image from the reals alone: no fake is used, so that no generator is favoured.

    Paper: Khalid & Woo (2020), one-class detection of deepfakes; the distances are those of Mahalanobis (1936), of the
    one-class support vector machine (Schoelkopf et al. 2001) and of the isolation forest (Liu, Ting & Zhou 2008).
    Differences: Khalid & Woo train a variational autoencoder. Here the features are another technique's, without its
    head. That technique is a ``FittedDetector``, since a network would have learned its features from fakes.
    Blind spots: A fake that is more typical than most reals. It has no gradient where the features have none, and none
    through the isolation forest.
    Example: ``battery.add=[oneclass] battery.members.oneclass.method=svm``

    Args:
        of: the technique whose features, and planted artefact, it takes.
        method: ``mahalanobis``, ``svm`` or ``forest``.
    """

    needs_fakes = False

    def __init__(self, *, of: FeatureTechnique, method: Method, **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        with error_context("of"):
            self.of = of(**shape)
        fitted = isinstance(self.of, FittedDetector)
        require(fitted, "of", type(self.of).__name__, "a technique of features under a head, such as forest")
        del self.of.head
        self.artefact = self.of.artefact
        self.differentiable = self.of.differentiable and method != "forest"
        self.head = HEADS[method]()

    def features(self, images: Tensor) -> Tensor:
        """Features (B, F) of the other technique, of images (B, C, H, W)."""
        return self.of.features(images)
