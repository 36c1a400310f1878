"""What every detector is: images to logits, higher means more fake (real = 0, fake = 1)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from arena.generators.artefacts import Artefact

SCORE_BATCH = 512


@dataclass(frozen=True)
class Examples:
    """Labelled images to learn from: uint8 (N, C, H, W) and labels (N,), 0 real and 1 fake."""

    images: Tensor
    labels: Tensor

    @classmethod
    def of(cls, reals: Tensor, fakes: Tensor) -> Self:
        """Of both classes, the reals first."""
        counts = torch.tensor([len(reals), len(fakes)])
        return cls(torch.cat([reals, fakes]), torch.tensor([0, 1]).repeat_interleave(counts))

    @property
    def weights(self) -> Tensor:
        """(N,) float32 weights under which both classes count the same; they sum to N."""
        fakes = self.labels.float().mean()
        return torch.where(self.labels == 1, 0.5 / fakes, 0.5 / (1 - fakes)).float()


class Detector(nn.Module, ABC):
    """A detection technique. Built by ``factory(resolution=..., channels=..., levels=...)``.

    Its tensors, buffers included, are all it knows: they are saved as safetensors and loaded into a new instance.

    Args:
        resolution: side in pixels of the images it sees (after the evidence path).
        channels: 1 or 3.
        levels: grey levels of the data.
    """

    differentiable: ClassVar[bool]
    """Whether a gradient of the logit reaches the image; without one a white-box generator is never told of it."""
    artefact: ClassVar[Artefact]
    """The planted artefact a fit judge of this technique must catch: a kind of ``generator=planted``."""

    def __init__(self, *, resolution: int, channels: int, levels: int) -> None:
        super().__init__()
        self.resolution, self.channels, self.levels = resolution, channels, levels

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W) in [-1, 1] that came down the evidence path."""


class LearnedDetector(Detector):
    """Learns by gradient, under ``arena.training.detecting``."""

    differentiable = True

    def prepare(self, images: Tensor) -> None:
        """Set what is computed from data before the first step (a standardisation, say); (B, C, H, W) in [-1, 1]."""


class FittedDetector(Detector):
    """Learns by scikit-learn's ``fit``, stopped or chosen on validation, and keeps the result as tensors."""

    @abstractmethod
    def fit(self, images: Tensor, examples: Examples, validation: tuple[Tensor, Examples], seed: int) -> None:
        """Fit anew.

        Args:
            images: (N, C, H, W) in [-1, 1], the examples' images down the evidence path.
            examples: their labels and weights.
            validation: the same two of the validation images.
            seed: of whatever is random in the fit.
        """
