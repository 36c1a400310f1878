"""Residual networks at published sizes (He, Zhang, Ren & Sun 2016), from the transformers library."""

from typing import Annotated, Any, Literal, TypedDict, Unpack

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.networks.wrappers import Trunk
from arena.outside.transformers_files import NOTHING_IS_DOWNLOADED, from_files, reading

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1]."""
EXPANSION = {"bottleneck": 4, "basic": 1}
"""Channels of the first stage, as a multiple of those of the stem."""
Layer = Literal["basic", "bottleneck"]


class ResNetShape(TypedDict):
    """Keywords that give a ResNet its published size.

    Args:
        depths: blocks of each stage: [3, 4, 6, 3] for ResNet-50, [2, 2, 2, 2] for ResNet-18.
        hidden_sizes: channels of each stage: [256, 512, 1024, 2048] and [64, 128, 256, 512].
        layer_type: ``bottleneck`` for ResNet-50 and larger, ``basic`` for ResNet-18 and 34.
    """

    depths: Annotated[list[PositiveInt], Field(min_length=1)]
    hidden_sizes: list[int]
    layer_type: Layer


class ResNetKeywords(ResNetShape, total=False):
    """Keywords of ``ResNetTrunk`` beside ``channels`` and ``side``.

    Args:
        stages: number of stages to keep; None (default) for all.
        early_stride: whether the stem halves the side twice, as published (default). Otherwise its convolution and its
            pooling have stride 1 (Gragnaniello, Cozzolino, Marra, Poggi & Verdoliva 2021).
        weights: folder with ``config.json`` and ``model.safetensors`` of a ResNet of this shape, or a name in the hub's
            local cache; nothing is downloaded. None (default): trained from scratch.
    """

    stages: PositiveInt | None
    early_stride: bool
    weights: str | None


class ResNetTrunk(Trunk):
    """Stem and stages of a ResNet, truncated after ``stages``.

    A grey image becomes three equal channels, so that every size is the published one. An input of any other number of
    channels gets a stem of that many. With ImageNet weights, pixels are normalised as for ImageNet.

    Args:
        channels: of the input.
        side: of the input, at least 8 pixels.
        keywords: shape and weights, see ``ResNetShape`` and ``ResNetKeywords``.

    Raises:
        ArenaError: for an impossible shape, for weights that are missing or do not fit, and without the extra
            `features`.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, *, channels: int, side: int, **keywords: Unpack[ResNetKeywords]) -> None:
        super().__init__()
        depths, sizes, layer = list(keywords["depths"]), list(keywords["hidden_sizes"]), keywords["layer_type"]
        stages, weights = keywords.get("stages"), keywords.get("weights")
        require(side >= 8, "network.side", side, "at least 8 pixels")
        possible = len(sizes) == len(depths) and all(n >= 4 and n % EXPANSION[layer] == 0 for n in sizes)
        require(possible, "network.hidden_sizes", sizes, f"{len(depths)} sizes that a {layer} block can have")
        require((stages or 1) <= len(depths), "network.stages", stages, f"1 to {len(depths)}, or null for all")
        require(weights is None or channels in (1, 3), "network.weights", weights, f"null for {channels} channels")
        self.planes = 3 if channels == 1 else channels
        shape = ResNetShape(depths=depths, hidden_sizes=sizes, layer_type=layer)
        network = _new(shape, self.planes) if weights is None else _loaded(shape, weights)
        self.stem: nn.Module = network.embedder.embedder
        self.pool: nn.MaxPool2d = network.embedder.pooler
        self.stages: nn.ModuleList = network.encoder.stages[: stages or len(depths)]
        self.widths = (*[network.config.embedding_size] * 2, *sizes[:stages])
        if not keywords.get("early_stride", True):
            network.embedder.embedder.convolution.stride = (1, 1)
            self.pool.stride = 1
        neutral = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)
        colours = torch.tensor(IMAGENET_MEAN).view(3, 1, 1) * 2 - 1, torch.tensor(IMAGENET_DEVIATION).view(3, 1, 1) * 2
        for name, values in zip(("mean", "deviation"), neutral if weights is None else colours, strict=True):
            self.register_buffer(name, values, persistent=False)

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps of the stem, of its pooling, and of each stage."""
        maps = [self.stem((x.expand(-1, self.planes, -1, -1) - self.mean) / self.deviation)]
        for layer in (self.pool, *self.stages):
            maps.append(layer(maps[-1]))
        return tuple(maps)


class ResNet(ResNetTrunk):
    """A ``ResNetTrunk`` with global average pooling and one logit."""

    def __init__(self, *, channels: int, side: int, **keywords: Unpack[ResNetKeywords]) -> None:
        super().__init__(channels=channels, side=side, **keywords)
        self.head = nn.Linear(self.widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of (B, channels, H, W)."""
        return self.head(self.maps(x)[-1].mean(dim=(2, 3))).squeeze(1)


def _new(shape: ResNetShape, channels: int) -> Any:
    """Build a network of random weights, drawn from torch's global stream as those of any new layer."""
    with reading("network", "ResNet", f"a shape that the library knows, not {shape}"):
        from transformers import ResNetConfig, ResNetModel  # pyright: ignore[reportMissingImports]

        stem = shape["hidden_sizes"][0] // EXPANSION[shape["layer_type"]]
        return ResNetModel(ResNetConfig(num_channels=channels, embedding_size=stem, **shape))


def _loaded(shape: ResNetShape, weights: str) -> Any:
    """Load a network from local files."""
    expected = f"a folder with config.json and model.safetensors of a ResNet of {shape}, {NOTHING_IS_DOWNLOADED}"
    with reading("network.weights", weights, expected):
        from transformers import ResNetModel  # pyright: ignore[reportMissingImports]

        network = from_files(ResNetModel, weights)
        if any(getattr(network.config, name, None) != value for name, value in (shape | {"num_channels": 3}).items()):
            raise ValueError(f"{network.config} is of another shape")
        return network.train()
