"""Image towers of large networks that others trained: CLIP (Radford et al. 2021) and DINOv2 (Oquab et al. 2023)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.outside.transformers_files import NOTHING_IS_DOWNLOADED, folder_of, from_files, reading


class Kind(NamedTuple):
    """What differs from one network to the next.

    Args:
        name: of the network.
        library: its class in transformers.
        output: the field of its output that is the embedding.
        side: in pixels, of what it is shown; None for that it was trained on.
        mean: of red, green and blue in [0, 1], of what it was trained on.
        deviation: of the same.
    """

    name: str
    library: str
    output: str
    side: int | None
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


CLIP = Kind(
    name="clip",
    library="CLIPVisionModelWithProjection",
    output="image_embeds",  # the projection that meets the text's
    side=None,
    mean=(0.48145466, 0.4578275, 0.40821073),
    deviation=(0.26862954, 0.26130258, 0.27577711),
)
DINOV2 = Kind(
    name="dinov2",
    library="Dinov2Model",
    output="pooler_output",  # the class token after the last norm
    side=224,
    mean=(0.485, 0.456, 0.406),
    deviation=(0.229, 0.224, 0.225),
)
MODEL_TYPES = {"clip": CLIP, "clip_vision_model": CLIP, "dinov2": DINOV2}
"""What a ``config.json`` calls them."""


class VisionEncoder(nn.Module):
    """A frozen tower behind the arena's conventions: images (B, C, H, W) in [-1, 1] to embeddings (B, d).

    It knows one size: whatever it is shown is resized to that, bicubic with antialiasing.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, kind: Kind) -> None:
        super().__init__()
        self.network, self.output = network.requires_grad_(False), kind.output
        self.side: int = kind.side or network.config.image_size  # type: ignore[union-attr,assignment]
        self.register_buffer("mean", torch.tensor(kind.mean).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(kind.deviation).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (B, d); differentiable."""
        pixels = (as_colour(images, self.side) - self.mean) / self.deviation
        return getattr(self.network(pixel_values=pixels), self.output)


def expected_of(name: str) -> str:
    """What a path to the weights of that network should have been."""
    return f"a folder with the config.json and model.safetensors of {name}, {NOTHING_IS_DOWNLOADED}"


def load_encoder(path: str, key: str, kind: Kind | None = None) -> VisionEncoder:
    """The tower in local files, in fp32 and eval mode.

    Args:
        path: a folder with ``config.json`` and ``model.safetensors``, or a name already in the hub's local cache.
        key: of the configuration that names the path.
        kind: the network it must be; None for either.

    Raises:
        ArenaError: naming the key, where there is no such network.
    """
    with reading(key, path, expected_of(kind.name if kind else "CLIP or DINOv2")):
        import transformers  # pyright: ignore[reportMissingImports]

        if kind is None:
            found = transformers.AutoConfig.from_pretrained(folder_of(path), local_files_only=True).model_type
            if (kind := MODEL_TYPES.get(found)) is None:
                raise ValueError(f"{found} is neither")
        return VisionEncoder(from_files(getattr(transformers, kind.library), path), kind)


def as_colour(images: Tensor, side: int) -> Tensor:
    """(B, C, H, W) in [-1, 1] to three channels in [0, 1] at ``side`` pixels, bicubic with antialiasing."""
    x = images.float().add(1.0).div(2.0).expand(-1, 3, -1, -1)
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0.0, 1.0)
