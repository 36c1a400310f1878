"""Feature spaces `dinov2` and `clip`: large pretrained networks, from weights on this machine."""

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
from arena.outside.encoders import CLIP, DINOV2, EncoderKind, VisionEncoder, expected_of, load_encoder

BATCH = 64


@dataclass(frozen=True)
class Pretrained(FeatureSpace):
    """A network of the transformers library. The reals have no effect, so that distances compare between data sets.

    Args:
        path: a folder with ``config.json`` and ``model.safetensors``, or a name in the hub's local cache.

    Raises:
        ArenaError: without a path.
    """

    path: str | None

    @property
    @abstractmethod
    def kind(self) -> EncoderKind:
        """Return the kind of network."""

    def __post_init__(self) -> None:
        require(self.path is not None, "features.path", "null", expected_of(self.name))

    def check(self) -> None:
        """Load the weights once, so that a bad file is found before the warm-up."""
        self._load()

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Move the network to the device, in fp32."""
        encoder = self._load().to(device)

        @torch.inference_mode()
        def features(images: Tensor) -> NDArray[np.float32]:
            return torch.cat([encoder(to_float(batch.to(device))).cpu() for batch in images.split(BATCH)]).numpy()

        return features

    def _load(self) -> VisionEncoder:
        return load_encoder(str(self.path), "features.path", self.kind)


class Dinov2(Pretrained):
    """Class token of DINOv2 (Oquab et al. 2023) at 224 pixels.

    Among several networks, its distances agree best with people (Stein et al. 2023).
    """

    name: ClassVar[str] = "dinov2"
    kind = DINOV2  # type: ignore[assignment]


class Clip(Pretrained):
    """Image embedding of CLIP (Radford et al. 2021), at the resolution of its training."""

    name: ClassVar[str] = "clip"
    kind = CLIP  # type: ignore[assignment]
