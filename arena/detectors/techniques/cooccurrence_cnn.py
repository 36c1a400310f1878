"""A network on co-occurrences (Nataraj et al. 2019), those across colours included (Barni et al. 2020)."""

from typing import Unpack

from torch import Tensor

from arena.core.errors import require
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network
from arena.detectors.techniques.cooccurrence import PAIRS, cooccurrences


class CooccurrenceCnn(LearnedDetector):
    """The joint histograms of ``cooccurrences`` as the planes of a picture, and a network that looks at it.

    A cell holds the share of its pairs times the number of bins, so that what lies on the diagonal, where neighbours
    are alike, is about 1 for images of any size.

    Args:
        bins: along either axis of a histogram, and so the side of what the network sees; 256 in the papers.
        network: on six planes for colour images, those of the pairs of channels included; on one for grey images.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, bins: int, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        require(8 <= bins <= 256, "bins", bins, "8 to 256")
        self.bins = bins
        planes = self.channels + (len(PAIRS) if self.channels == 3 else 0)
        self.network = network(channels=planes, side=bins)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(cooccurrences(images, self.bins) * self.bins)
