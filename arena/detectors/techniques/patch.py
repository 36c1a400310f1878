"""Patch-forensics: a verdict on each small patch, and their mean."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import TrunkFactory


class Patch(LearnedDetector):
    """A truncated network sees a small patch at a time and classifies every place; the score is their mean.

    Paper: Chai, Bau, Lim & Isola (2020), "What makes fake images detectable?" (Patch-forensics).
    Differences: The default network is a small residual one whose patches are 12 pixels wide, trained from scratch; the
    paper's are the first blocks of Xception or of a ResNet-18 (``detector/paper/patch``). As in the paper, each place
    is trained on the label of its image, and probabilities are averaged, so that a few sure places do not outvote the
    rest.
    Blind spots: Relations between places more than a patch apart.
    Example: ``battery.add=[patch]``

    Args:
        trunk: the truncated network; its last map has a vector for every place.
    """

    artefact = "spectral_peak"

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
