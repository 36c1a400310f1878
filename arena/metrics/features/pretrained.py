"""Feature spaces of pretrained networks, from weights on this machine: `dinov2`, `clip` and `inception`."""

from abc import abstractmethod
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import ClassVar

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn

from arena.core.errors import ArenaError, first_line, require
from arena.imaging.images import to_float
from arena.metrics.features.space import CPU, Features, FeatureSpace
from arena.outside.encoders import CLIP, DINOV2, EncoderKind, VisionEncoder, expected_of, load_encoder

BATCH = 64
INCEPTION_BATCH = 32
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""File of torch-fidelity's release v0.2.0, converted from the weights of the FID's authors."""

_EXPECTED = f"torch-fidelity's file {WEIGHTS} (nothing is downloaded)"
_UNREADABLE = (OSError, ValueError, RuntimeError, TypeError, AttributeError, UnpicklingError, SafetensorError)


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


@dataclass(frozen=True)
class Inception(FeatureSpace):
    """The 2048 features before the last layer, with the original resizing, computed by torch-fidelity.

    Args:
        path: torch-fidelity's file of weights, or the same as safetensors.

    Raises:
        ArenaError: without a path.
    """

    name: ClassVar[str] = "inception"
    path: str | None

    def __post_init__(self) -> None:
        require(self.path is not None, "features.path", "null", _EXPECTED)

    def check(self) -> None:
        """Load the weights once, so that a bad file is found before the warm-up."""
        self._load()

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Move the network to the device, in fp32. The reals have no effect."""
        network = self._load().to(device)

        @torch.inference_mode()
        def features(images: Tensor) -> NDArray[np.float32]:
            colour = images.expand(-1, 3, -1, -1)
            return torch.cat([network(batch.to(device))[0].cpu() for batch in colour.split(INCEPTION_BATCH)]).numpy()

        return features

    def _load(self) -> nn.Module:
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # pyright: ignore[reportMissingImports]
        except (ImportError, RuntimeError) as error:  # a torchvision built for another torch raises RuntimeError
            raise ArenaError(
                "features=inception: expected the extra `inception`, with a torchvision that fits "
                f"torch {torch.__version__} ({first_line(error)})"
            ) from error
        path = Path(str(self.path)).expanduser()
        try:
            # torch-fidelity would unpickle any file, so it is given tensors that were read safely.
            if path.suffix == ".safetensors":
                state = safetensors.torch.load_file(path)
            else:
                state = torch.load(path, map_location="cpu", weights_only=True)
            torch.save(state, weights := BytesIO())
            weights.seek(0)
            return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=weights)
        except _UNREADABLE as error:
            raise ArenaError(f"features.path={self.path}: expected {_EXPECTED}") from error
