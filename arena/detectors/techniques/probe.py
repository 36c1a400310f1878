"""UnivFD: a linear probe of the features of a vision encoder."""

import functools
from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor

from arena.core.errors import requires
from arena.core.files import file_hash
from arena.detectors.base import FittedDetector, ImageShape
from arena.detectors.heads import Head
from arena.detectors.networks.wrappers import UnsavedNetwork
from arena.outside.encoders import VisionEncoder, load_encoder
from arena.outside.transformers_files import files_of

BATCH = 32
"""Images in one pass through the encoder: a whole gallery, enlarged, would not fit in memory."""


class Probe(FittedDetector):
    """The embedding of a large vision encoder that was not trained on fakes, CLIP or DINOv2, under a simple head.

    Paper: Ojha, Li & Lee (2023), "Towards universal fake image detectors that generalize across generative models".
    Differences: The authors train a linear layer by gradient, on blurred and compressed copies too. Here the head,
    linear or of nearest neighbours, is fitted at once, on the images as they are.
    Blind spots: Images are resized to the one size of the encoder (mostly 224 pixels), bicubic with antialiasing. The
    highest frequencies of larger images are lost. No other technique resizes.
    Example: ``battery.add=[probe] battery.members.probe.path=FOLDER``

    Args:
        path: folder with ``config.json`` and ``model.safetensors``, or a name in the hub's local cache (nothing is
            downloaded). With None the technique is left out.
        head: on the embeddings.
    """

    differentiable = True
    artefact = "checkerboard"

    def __init__(self, *, path: str | None, head: Callable[[], Head], **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        requires(path is not None, "CLIP or DINOv2 weights from a local folder (path)")
        self.encoder = UnsavedNetwork(*_encoder(str(path)))
        self.head = head()

    def features(self, images: Tensor) -> Tensor:
        """Embeddings (B, d) of images (B, C, H, W)."""
        return torch.cat([self.encoder(few) for few in images.split(BATCH)])


@functools.lru_cache(maxsize=4)
def _encoder(path: str) -> tuple[VisionEncoder, str]:
    """Load an encoder and the hash of its files, once for all detectors that use it."""
    return load_encoder(path, "path"), file_hash(files_of(path))
