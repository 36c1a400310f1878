"""A verdict on each small patch, and their mean (Patch-forensics: Chai, Bau, Lim & Isola 2020)."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import TrunkFactory


class Patch(LearnedDetector):
    """A truncated network that sees little of the image at a time and says of every place whether it is fake.

    Each place is trained on the label of its image. The score is the logit of the mean over places of the probability,
    as the authors average their softmax: a few places that are sure do not outvote the rest, as they do in a mean of
    logits. By default the network is a small residual one whose places are 12 pixels wide, learned from scratch; the
    published ones are the first blocks of Xception or of a ResNet-18.

    Args:
        trunk: the truncated network; its last map has a vector for every place.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, trunk: TrunkFactory, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.trunk = trunk(channels=self.channels, side=self.side)
        self.head = nn.Conv2d(self.trunk.widths[-1], 1, 1)

    def verdicts(self, images: Tensor) -> Tensor:
        """Logits (B, places) of images (B, C, side, side); the softmax of two classes is the sigmoid of one logit."""
        return self.head(self.trunk.maps(images)[-1]).flatten(1).float()

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of the mean probability of images (B, C, side, side)."""
        return logit_of_mean(self.verdicts(images))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of every place, each with the label of its image."""
        verdicts = self.verdicts(images)
        return F.binary_cross_entropy_with_logits(verdicts, labels[:, None].expand_as(verdicts))


def logit_of_mean(logits: Tensor) -> Tensor:
    """Logit (B,) of the mean of the probabilities whose logits are (B, n), also where all of them round to 0 or 1."""
    return F.logsigmoid(logits).logsumexp(1) - F.logsigmoid(-logits).logsumexp(1)
