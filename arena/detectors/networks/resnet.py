"""Residual networks at published sizes (He, Zhang, Ren & Sun 2016), from the transformers library."""

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict, Unpack

import torch
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.networks.wrappers import Trunk
from arena.outside.transformers_files import NOTHING_IS_DOWNLOADED, from_files, reading

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1]."""
EXPANSION = {"bottleneck": 4, "basic": 1}
"""Channels of the first stage for each of the stem's."""
Layer = Literal["basic", "bottleneck"]


class ResNetShape(TypedDict):
    """Stages of a ResNet: their blocks, their channels, and the kind of block."""

    depths: list[int]
    hidden_sizes: list[int]
    layer_type: Layer


class ResNetTrunk(Trunk):
    """Stem and stages of a ResNet, the later ones left out where it is truncated.

    A grey image is seen as three equal channels, so that every size is the published one; planes of any other number
    get a stem of that many. With weights of ImageNet the pixels are normalised as they were there.

    Args:
        channels: of what it looks at.
        side: of it, in pixels, at least 8.
        depths: blocks of each stage: [3, 4, 6, 3] for ResNet-50, [2, 2, 2, 2] for ResNet-18.
        hidden_sizes: channels of each stage: [256, 512, 1024, 2048] and [64, 128, 256, 512].
        layer_type: ``bottleneck`` for ResNet-50 and larger, ``basic`` for ResNet-18 and 34.
        stages: how many to keep; None for all.
        early_stride: whether the stem halves the side twice, as published; False: its convolution and its pooling have
            stride 1 (Gragnaniello, Cozzolino, Marra, Poggi & Verdoliva 2021).
        weights: a folder with ``config.json`` and ``model.safetensors`` of a ResNet of this shape, or a name in the
            hub's local cache; nothing is downloaded. None: learned from scratch.

    Raises:
        ArenaError: for an impossible shape, weights that are not there or do not fit, or without the extra `features`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        channels: int,
        side: int,
        depths: Sequence[int],
        hidden_sizes: Sequence[int],
        layer_type: Layer,
        stages: int | None = None,
        early_stride: bool = True,
        weights: str | None = None,
    ) -> None:
        super().__init__()
        require(side >= 8, "network.side", side, "at least 8 pixels")
        require(layer_type in EXPANSION, "network.layer_type", layer_type, f"one of {', '.join(EXPANSION)}")
        require(len(depths) > 0 and min(depths) >= 1, "network.depths", list(depths), "at least 1 block a stage")
        fit = len(hidden_sizes) == len(depths) and all(n >= 4 and n % EXPANSION[layer_type] == 0 for n in hidden_sizes)
        require(fit, "network.hidden_sizes", list(hidden_sizes), f"{len(depths)} sizes a {layer_type} block can have")
        kept = len(depths) if stages is None else stages
        require(1 <= kept <= len(depths), "network.stages", stages, f"1 to {len(depths)}, or null for all")
        require(weights is None or channels in (1, 3), "network.weights", weights, f"null for {channels} channels")
        self.planes = 3 if channels == 1 else channels
        shape = ResNetShape(depths=list(depths), hidden_sizes=list(hidden_sizes), layer_type=layer_type)
        network = _new(shape, self.planes) if weights is None else _loaded(shape, weights)
        self.stem: nn.Module = network.embedder.embedder
        self.pool: nn.MaxPool2d = network.embedder.pooler
        self.stages: nn.ModuleList = network.encoder.stages[:kept]
        self.widths = (*[network.config.embedding_size] * 2, *hidden_sizes[:kept])
        if not early_stride:
            network.embedder.embedder.convolution.stride = (1, 1)
            self.pool.stride = 1
        neutral = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
        colours = torch.tensor(IMAGENET_MEAN).view(3, 1, 1) * 2 - 1, torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1) * 2
        for name, values in zip(("mean", "deviation"), neutral if weights is None else colours, strict=True):
            self.register_buffer(name, values, persistent=False)

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Of the stem, of its pooling, and of each stage."""
        x = self.stem((x.expand(-1, self.planes, -1, -1) - self.mean) / self.deviation)
        found = [x]
        for layer in (self.pool, *self.stages):
            x = layer(x)
            found.append(x)
        return tuple(found)


class Arguments(TypedDict):
    """Those of ``ResNetTrunk``."""

    channels: int
    side: int
    depths: Sequence[int]
    hidden_sizes: Sequence[int]
    layer_type: Layer
    stages: NotRequired[int | None]
    early_stride: NotRequired[bool]
    weights: NotRequired[str | None]


class ResNet(ResNetTrunk):
    """The trunk of the same arguments, the mean over its last map, and one logit."""

    def __init__(self, **arguments: Unpack[Arguments]) -> None:
        super().__init__(**arguments)
        self.head = nn.Linear(self.widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of (B, channels, H, W)."""
        return self.head(self.maps(x)[-1].mean(dim=(2, 3))).squeeze(1)


def _new(shape: ResNetShape, channels: int) -> Any:
    """A network of transformers, drawn from torch's global stream as any new layer is."""
    with reading("network", "ResNet", f"a shape that the library knows, not {shape}"):
        from transformers import ResNetConfig, ResNetModel  # pyright: ignore[reportMissingImports]

        stem = shape["hidden_sizes"][0] // EXPANSION[shape["layer_type"]]
        return ResNetModel(ResNetConfig(num_channels=channels, embedding_size=stem, **shape))


def _loaded(shape: ResNetShape, weights: str) -> Any:
    """A network of transformers from local files."""
    expected = f"a folder with config.json and model.safetensors of a ResNet of {shape}, {NOTHING_IS_DOWNLOADED}"
    with reading("network.weights", weights, expected):
        from transformers import ResNetModel  # pyright: ignore[reportMissingImports]

        network = from_files(ResNetModel, weights)
        if any(getattr(network.config, name, None) != value for name, value in (shape | {"num_channels": 3}).items()):
            raise ValueError(f"{network.config} is of another shape")
        return network.train()
