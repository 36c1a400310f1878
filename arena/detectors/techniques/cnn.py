"""CNNDetection: a convolutional network on pixels."""

from typing import ClassVar, Unpack

import torch
from torch import Tensor

from arena.detectors.augmentation import DetectorAugmentation, Probability
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import Network


class Cnn(LearnedDetector):
    """A residual network on pixels, trained with blur, JPEG and mirroring so that it does not rely on fragile traces.

    Paper: Wang, Wang, Zhang, Owens & Efros (2020), "CNN-generated images are surprisingly easy to spot ... for now".
    Differences: The default network is small and trained from scratch; the paper's is a ResNet-50 trained on ImageNet
    (``detector/paper/cnn``). Probabilities are those of the paper's weaker variant, "Blur+JPEG (0.1)".
    Blind spots: It down-samples early and so loses the highest frequencies (see ``nodown``). On other generators its
    ranking holds better than its threshold.
    Example: ``battery.add=[cnn]``

    Args:
        blur, jpeg: probability of each in training.
        network: on the pixels.
    """

    artefact = "checkerboard"
    turn: ClassVar[bool] = False
    """Whether training images are rotated by multiples of 90 degrees."""

    def __init__(self, *, blur: Probability, jpeg: Probability, network: Network, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.augmentation = DetectorAugmentation(self.levels, blur, jpeg, turn=self.turn)
        self.network = network(channels=self.channels, side=self.side)

    def augmented(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Images (B, C, side, side), some of them blurred, compressed or mirrored."""
        return self.augmentation(images, rng)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.network(images)
