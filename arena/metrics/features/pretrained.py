"""Feature spaces `dinov2` and `clip`: large networks that others trained, from weights on this machine alone."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from arena.config import require
from arena.errors import ArenaError
from arena.images import to_float
from arena.metrics.features.space import CPU, Features, FeatureSpace

BATCH = 64


class Colours(NamedTuple):
    """Mean and deviation of red, green and blue in [0, 1], of what a network was trained on."""

    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


class Embedding(NamedTuple):
    """A network in eval mode, the pixels of the side it sees, and images (B, 3, side, side) to its features (B, d)."""

    network: nn.Module
    side: int
    embed: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Pretrained(FeatureSpace):
    """A network of the transformers library; reals scale nothing, so that its distances compare between data sets.

    Args:
        path: a folder with ``config.json`` and ``model.safetensors``, or a name already in the hub's local cache.

    Raises:
        ArenaError: without a path.
    """

    colours: ClassVar[Colours]
    path: str | None

    def __post_init__(self) -> None:
        require(self.path is not None, "features.path", "null", self._expected)

    @abstractmethod
    def embedding(self) -> Embedding:
        """The network from local files."""

    def check(self) -> None:
        """Load the weights, and forget them: a race would find out after its warm-up only."""
        self._load()

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """The network on that device, in fp32."""
        embedding = self._load()
        embedding.network.to(device)
        mean, deviation = (torch.tensor(each, device=device).view(3, 1, 1) for each in self.colours)

        @torch.inference_mode()
        def features(images: Tensor) -> NDArray[np.float32]:
            seen = (as_colour(batch.to(device), embedding.side) for batch in images.split(BATCH))
            return torch.cat([embedding.embed((batch - mean) / deviation).cpu() for batch in seen]).numpy()

        return features

    @property
    def _expected(self) -> str:
        return (
            f"a folder with the config.json and model.safetensors of {self.name}, "
            "or a name in the hub's local cache (nothing is downloaded)"
        )

    def _load(self) -> Embedding:
        try:
            import transformers  # pyright: ignore[reportMissingImports]
        except ImportError as error:
            raise ArenaError(f"features={self.name}: expected the extra `features` to be installed") from error
        verbosity = transformers.logging.get_verbosity()
        transformers.logging.disable_progress_bar()
        transformers.logging.set_verbosity_error()
        try:
            return self.embedding()
        except (OSError, ValueError, RuntimeError) as error:
            raise ArenaError(f"features.path={self.path}: expected {self._expected}") from error
        finally:
            transformers.logging.set_verbosity(verbosity)

    def _from_files(self, kind: Any) -> Any:
        """A network of that class of transformers, refusing one whose weights are not all there.

        Raises:
            ValueError: where some are not: the library would fill them in at random.
        """
        path = Path(str(self.path)).expanduser()
        network, found = kind.from_pretrained(
            path if path.is_dir() else self.path,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
        if found["missing_keys"]:
            raise ValueError(f"{len(found['missing_keys'])} weights are missing")
        return network.eval().requires_grad_(False)


class Dinov2(Pretrained):
    """Class token of DINOv2 (Oquab et al. 2023) at 224 pixels.

    Of several networks Stein et al. (2023) found that people agree most with distances in this one.
    """

    name: ClassVar[str] = "dinov2"
    colours = Colours((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

    def embedding(self) -> Embedding:
        """The token after the last norm."""
        from transformers import Dinov2Model  # pyright: ignore[reportMissingImports]

        network = self._from_files(Dinov2Model)
        return Embedding(network, 224, lambda pixels: network(pixel_values=pixels).pooler_output)


class Clip(Pretrained):
    """Image embedding of CLIP (Radford et al. 2021), at the size its tower was trained on."""

    name: ClassVar[str] = "clip"
    colours = Colours((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))

    def embedding(self) -> Embedding:
        """The projection that meets the text's."""
        from transformers import CLIPVisionModelWithProjection  # pyright: ignore[reportMissingImports]

        network = self._from_files(CLIPVisionModelWithProjection)
        return Embedding(network, network.config.image_size, lambda pixels: network(pixel_values=pixels).image_embeds)


def as_colour(images: Tensor, side: int) -> Tensor:
    """uint8 (B, C, H, W) to three channels in [0, 1] at ``side`` pixels, bicubic with antialiasing."""
    x = to_float(images).add(1.0).div(2.0).expand(-1, 3, -1, -1)
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0.0, 1.0)
