"""Critics behind fixed random filters: further discriminators that know no technique.

Random projections of images make discriminators differ from each other (Neyshabur, Bhojanapalli & Chakrabarti 2017).
Filters and weights depend on torch's global stream.
"""

from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.detectors.base import Keywords, NetworkDetector

FILTERS = 16
"""Fixed random filters."""
WIDTH = 64
"""Channels behind the filters."""


def random_filters(channels: int) -> Tensor:
    """Return filters (16, channels, 3, 3) of norm 1."""
    filters = torch.randn(FILTERS, channels, 3, 3)
    return filters / filters.flatten(1).norm(dim=1)[:, None, None, None]


class RandomFilterNetwork(nn.Module):
    """Two convolutions behind random filters that do not learn.

    Args:
        channels: of the images.
    """

    filters: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filters", random_filters(channels))
        self.network = nn.Sequential(
            nn.Conv2d(FILTERS, WIDTH, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(WIDTH, WIDTH, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(1),
            nn.Linear(WIDTH, 1),
            nn.Flatten(0),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B,) of images (B, C, H, W)."""
        return self.network(F.conv2d(images, self.filters, padding=1))


class RandomCritic(NetworkDetector):
    """A detector that an attacker without knowledge trains by itself, in the place of a technique.

    It is no technique of the battery. Its arguments are those of ``Keywords``.
    """

    artefact = "stripes"

    def __init__(self, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        self.network = RandomFilterNetwork(self.channels)
