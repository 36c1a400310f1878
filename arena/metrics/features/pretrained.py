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
from arena.outside.encoders import CLIP, DINOV2, EncoderKind, expected_of, load_encoder

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
"""File of torch-fidelity's release v0.2.0, converted from the weights of the FID's authors."""

_UNREADABLE = (OSError, ValueError, RuntimeError, TypeError, AttributeError, UnpicklingError, SafetensorError)


@dataclass(frozen=True)
class Pretrained(FeatureSpace):
    """Base class of pretrained networks. The reals have no effect, so that distances compare between data sets.

    Args:
        path: the weights, described by ``expected``.

    Raises:
        ArenaError: without a path.
    """

    path: str | None
    expected: ClassVar[str]
    batch: ClassVar[int]

    def __post_init__(self) -> None:
        require(self.path is not None, "features.path", "null", self.expected)

    @abstractmethod
    def _load(self) -> nn.Module:
        """Load the network."""

    @abstractmethod
    def _embed(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return the features (N, d) of uint8 images (N, C, H, W) on the network's device."""

    def check(self) -> None:
        """Load the weights once, so that a bad file is found before the warm-up."""
        self._load()

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Move the network to the device, in fp32."""
        network = self._load().to(device)

        @torch.inference_mode()
        def features(images: Tensor) -> NDArray[np.float32]:
            batches = images.split(self.batch)
            return torch.cat([self._embed(network, batch.to(device)).cpu() for batch in batches]).numpy()

        return features


class TransformersSpace(Pretrained):
    """Base class of networks of the transformers library.

    The path is a folder with ``config.json`` and ``model.safetensors``, or a name in the hub's local cache.
    """

    batch = 64

    @property
    @abstractmethod
    def kind(self) -> EncoderKind:
        """Return the kind of network."""

    def _load(self) -> nn.Module:
        return load_encoder(str(self.path), "features.path", self.kind)

    def _embed(self, network: nn.Module, images: Tensor) -> Tensor:
        return network(to_float(images))


class Dinov2(TransformersSpace):
    """Class token of DINOv2 (Oquab et al. 2023) at 224 pixels.

    Among several networks, its distances agree best with people (Stein et al. 2023).
    """

    name = "dinov2"
    expected = expected_of(name)
    kind = DINOV2  # type: ignore[assignment]


class Clip(TransformersSpace):
    """Image embedding of CLIP (Radford et al. 2021), at the resolution of its training."""

    name = "clip"
    expected = expected_of(name)
    kind = CLIP  # type: ignore[assignment]


class Inception(Pretrained):
    """The 2048 features before the last layer, with the original resizing, computed by torch-fidelity.

    The path is torch-fidelity's file of weights, or the same as safetensors.
    """

    name = "inception"
    expected = f"torch-fidelity's file {INCEPTION} (nothing is downloaded)"
    batch = 32

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
            raise ArenaError(f"features.path={self.path}: expected {self.expected}") from error

    def _embed(self, network: nn.Module, images: Tensor) -> Tensor:
        return network(images.expand(-1, 3, -1, -1))[0]
