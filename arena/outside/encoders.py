"""Load pretrained vision encoders: CLIP (Radford et al. 2021) and DINOv2 (Oquab et al. 2023)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.outside.transformers_files import NOTHING_IS_DOWNLOADED, folder_of, from_files, reading


class EncoderKind(NamedTuple):
    """Properties of one family of encoders.

    Args:
        name: its name.
        library: its class in transformers.
        output: field of its output that holds the embedding.
        side: side of its images in pixels, None for the side it was trained with.
        mean: mean of its training images in red, green and blue, in [0, 1].
        deviation: standard deviation of the same.
    """

    name: str
    library: str
    output: str
    side: int | None
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


CLIP = EncoderKind(
    name="clip",
    library="CLIPVisionModelWithProjection",
    output="image_embeds",  # projected to the space shared with text
    side=None,
    mean=(0.48145466, 0.4578275, 0.40821073),
    deviation=(0.26862954, 0.26130258, 0.27577711),
)
DINOV2 = EncoderKind(
    name="dinov2",
    library="Dinov2Model",
    output="pooler_output",  # the class token after the last norm
    side=224,
    mean=(0.485, 0.456, 0.406),
    deviation=(0.229, 0.224, 0.225),
)
MODEL_TYPES = {"clip": CLIP, "clip_vision_model": CLIP, "dinov2": DINOV2}
"""Name of the model in ``config.json`` -> its kind."""


class VisionEncoder(nn.Module):
    """Frozen vision encoder: images (B, C, H, W) in [-1, 1] to embeddings (B, d).

    Images of every size are resized to the size of the encoder, bicubic with antialiasing.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, network: nn.Module, kind: EncoderKind) -> None:
        super().__init__()
        self.network, self.output = network.requires_grad_(False), kind.output
        self.side: int = kind.side or network.config.image_size  # type: ignore[union-attr,assignment]
        self.register_buffer("mean", torch.tensor(kind.mean).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(kind.deviation).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return embeddings (B, d); differentiable."""
        pixels = (as_colour(images, self.side) - self.mean) / self.deviation
        return getattr(self.network(pixel_values=pixels), self.output)


def expected_of(name: str) -> str:
    """Return the description of a valid path to the weights of that encoder, for errors."""
    return f"a folder with the config.json and model.safetensors of {name}, {NOTHING_IS_DOWNLOADED}"


def load_encoder(path: str, key: str, kind: EncoderKind | None = None) -> VisionEncoder:
    """Load an encoder from local files, in fp32 and eval mode.

    Args:
        path: folder with ``config.json`` and ``model.safetensors``, or a name in the hub's local cache.
        key: key of the configuration that names the path.
        kind: the expected kind, None for any.

    Raises:
        ArenaError: naming the key, if the files hold no such encoder.
    """
    with reading(key, path, expected_of(kind.name if kind else "CLIP or DINOv2")):
        import transformers  # pyright: ignore[reportMissingImports]

        if kind is None:
            model_type = transformers.AutoConfig.from_pretrained(folder_of(path), local_files_only=True).model_type
            if (kind := MODEL_TYPES.get(model_type)) is None:
                raise ValueError(f"{model_type} is neither")
        return VisionEncoder(from_files(getattr(transformers, kind.library), path), kind)


def as_colour(images: Tensor, side: int) -> Tensor:
    """Convert (B, C, H, W) in [-1, 1] to three channels in [0, 1] at ``side`` pixels, bicubic with antialiasing."""
    x = images.float().add(1.0).div(2.0).expand(-1, 3, -1, -1)
    return F.interpolate(x, size=(side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0.0, 1.0)
