"""A convolutional network learned on pixels (CNNDetection: Wang, Wang, Zhang, Owens & Efros 2020)."""

from torch import Tensor

from arena.detectors.detector import LearnedDetector
from arena.detectors.networks.network import Network


class Cnn(LearnedDetector):
    """A residual network on the pixels themselves.

    Args:
        resolution, channels, levels: of the images.
        crop: largest side of what it looks at.
        network: under it.
    """

    artefact = "checkerboard"

    def __init__(self, *, resolution: int, channels: int, levels: int, crop: int | None, network: Network) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels, crop=crop)
        self.network = network(channels=channels, side=self.side)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(images)
