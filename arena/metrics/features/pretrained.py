"""Feature spaces `dinov2` and `clip`: large networks that others trained, from weights on this machine alone."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.core.errors import require
from arena.imaging.images import to_float
from arena.metrics.features.space import CPU, Features, FeatureSpace
from arena.outside.encoders import CLIP, DINOV2, Kind, VisionEncoder, expected_of, load_encoder

BATCH = 64


@dataclass(frozen=True)
class Pretrained(FeatureSpace):
    """A network of the transformers library; reals scale nothing, so that its distances compare between data sets.

    Args:
        path: a folder with ``config.json`` and ``model.safetensors``, or a name already in the hub's local cache.

    Raises:
        ArenaError: without a path.
    """

    path: str | None

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Which network it is."""

    def __post_init__(self) -> None:
        require(self.path is not None, "features.path", "null", expected_of(self.name))

    def check(self) -> None:
        """Load the weights, and forget them: a race would find out after its warm-up only."""
        self._load()

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """The network on that device, in fp32."""
        tower = self._load().to(device)

        @torch.inference_mode()
        def features(images: Tensor) -> NDArray[np.float32]:
            return torch.cat([tower(to_float(batch.to(device))).cpu() for batch in images.split(BATCH)]).numpy()

        return features

    def _load(self) -> VisionEncoder:
        return load_encoder(str(self.path), "features.path", self.kind)


class Dinov2(Pretrained):
    """Class token of DINOv2 (Oquab et al. 2023) at 224 pixels.

    Of several networks Stein et al. (2023) found that people agree most with distances in this one.
    """

    name: ClassVar[str] = "dinov2"

    @property
    def kind(self) -> Kind:
        """DINOv2."""
        return DINOV2


class Clip(Pretrained):
    """Image embedding of CLIP (Radford et al. 2021), at the size its tower was trained on."""

    name: ClassVar[str] = "clip"

    @property
    def kind(self) -> Kind:
        """CLIP."""
        return CLIP
