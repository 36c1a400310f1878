"""A linear probe of a foundation model's features (UnivFD: Ojha, Li & Lee 2023)."""

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from arena.core.errors import requires
from arena.core.files import file_hash
from arena.detectors.base import FittedDetector
from arena.detectors.heads.head import Head
from arena.detectors.networks.foreign import Outside
from arena.outside.encoders import VisionEncoder, load_encoder
from arena.outside.transformers_files import files_of

KEY = "path"
BATCH = 32
"""Images that go through the tower at once: those of a gallery, enlarged, would not fit in memory."""


class Probe(FittedDetector):
    """The embedding of CLIP or DINOv2, and a linear or a nearest neighbour's head on it.

    The tower knows one size (224 pixels, mostly): images are resized to that, bicubic with antialiasing, which no other
    technique does. What is finer than that is lost, of images of 256 pixels the highest frequencies. The authors train
    the linear layer by gradient, with blurred and compressed copies; here the head is fitted at once, on images as they
    are.

    Args:
        resolution, channels, levels: of the images.
        path: a folder with ``config.json`` and ``model.safetensors``, or a name already in the hub's local cache
            (nothing is downloaded); None where there is none, and the technique is left out.
        head: of the embeddings.

    Raises:
        DoesNotApply: without a path.
        ArenaError: where the path holds neither CLIP nor DINOv2.
    """

    differentiable = True
    artefact = "checkerboard"

    def __init__(
        self, *, resolution: int, channels: int, levels: int, path: str | None, head: Callable[[], Head]
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        requires(path is not None, f"CLIP or DINOv2 weights from a local folder ({KEY})")
        self.tower = Outside(*_tower(str(path)), KEY)
        self.head = head()

    def features(self, images: Tensor) -> Tensor:
        """Embeddings (B, d) of images (B, C, H, W)."""
        return torch.cat([self.tower(few) for few in images.split(BATCH)])


@functools.lru_cache(maxsize=4)
def _tower(path: str) -> tuple[VisionEncoder, str]:
    """The tower of a path and the hash of its files, once for all detectors that look through it."""
    return load_encoder(path, KEY), file_hash(files_of(path))
