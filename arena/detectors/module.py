"""Detectors from other packages: any network from images to logits, fine-tuned by the race or frozen."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Unpack

import torch
from pydantic import Field, PositiveFloat
from torch import Tensor

from arena.core.errors import require
from arena.core.files import file_hash
from arena.detectors.base import FittedDetector, ImageShape, LearnedDetector
from arena.detectors.heads.head import PlattScaling
from arena.detectors.networks.adapters import KEY, AdaptedNetwork, FrozenNetwork, Range, UnsavedNetwork
from arena.generators.controls import Artefact
from arena.outside import onnx, transformers_files
from arena.outside.programs import import_network, untie_weights
from arena.outside.weights import load_weights

BATCH = 64
"""Images in one pass through a frozen network."""


class TrainableModuleDetector(LearnedDetector):
    """A network from another package that learns as the others do: fine-tuned from its weights, or from scratch.

    It learns alone, since it may draw from torch's global streams (dropout), which are seeded for every step. An
    exported program stays in the mode it was exported in.
    """

    draws = True

    def __init__(
        self,
        network: AdaptedNetwork,
        artefact: Artefact,
        learning_rate: PositiveFloat | None,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(learning_rate=learning_rate, **shape)
        self.network, self.artefact = network, artefact
        self.register_state_dict_post_hook(untie_weights)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W)."""
        return self.network(images)


class FrozenModuleDetector(FittedDetector):
    """A frozen network from another package. Only the scale of its logit is fitted, on validation."""

    def __init__(
        self,
        network: FrozenNetwork | UnsavedNetwork,
        artefact: Artefact,
        differentiable: bool,
        **shape: Unpack[ImageShape],
    ) -> None:
        super().__init__(**shape)
        self.network, self.artefact, self.differentiable = network, artefact, differentiable
        self.head = PlattScaling()
        self.register_state_dict_post_hook(untie_weights)

    def features(self, images: Tensor) -> Tensor:
        """Logits (B, 1) of the network on images (B, C, H, W)."""
        return torch.cat([self.network(few) for few in images.split(BATCH)]).float()[:, None]


def module_detector(
    *,
    path: str | None = None,
    name: str | None = None,
    kwargs: Mapping[str, object] | None = None,
    weights: str | None = None,
    trainable: bool = True,
    range: Annotated[Sequence[float], Field(min_length=2, max_length=2)] = (-1, 1),
    fake: int = 1,
    artefact: Artefact = "checkerboard",
    learning_rate: PositiveFloat | None = None,
    **shape: Unpack[ImageShape],
) -> TrainableModuleDetector | FrozenModuleDetector:
    """Build a detector from a file or a class: images (B, C, H, W) of the data's size to logits.

    Logits are (B,) or (B, 1), higher meaning more fake, or (B, K) of K classes. A frozen network of a file is not saved
    with the detector, which holds the hash of the file (``UnsavedNetwork``). Any other network is.

    Args:
        path: TorchScript file or exported program (see ``arena.outside.programs`` on trust), ONNX file (``.onnx``), or
            folder with an image classifier of the transformers library.
        name: instead, the dotted name of a class or function that makes an ``nn.Module``.
        kwargs: keyword arguments of ``name``.
        weights: safetensors file to load into the network of ``name``; None (default) for its own.
        trainable: whether it learns in the race (default), or is only calibrated.
        range: black and white of the images that the network expects.
        fake: index of the class of fakes, of several classes.
        artefact: kind of planted artefact that a fit judge of it must catch.
        learning_rate: peak of its schedule; None (default) for the battery's, which is high for fine-tuning.
        shape: of the images.

    Raises:
        ArenaError: where there is no such network, or it gives no logits of images like the data's.
    """
    either = "a file or folder, or null and a class in name"
    require(bool(path) != bool(name), KEY, path or "null", either if name is None else f"{either}, not both")
    require(weights is None or not path, "weights", weights, "null, since path brings its own")
    require(range[0] < range[1], "range", list(range), "black and white, as in [-1,1]")
    runs_only = trainable and str(path).endswith(".onnx")
    require(not runs_only, "trainable", True, "false of an ONNX file, which cannot be trained")
    limits = (float(range[0]), float(range[1]))
    if path and not trainable:
        network, fingerprint, differentiable = _kept(path, limits, fake, shape["channels"], shape["resolution"])
        return FrozenModuleDetector(UnsavedNetwork(network, fingerprint, KEY), artefact, differentiable, **shape)
    if path:
        source, network = f"{KEY}={path}", AdaptedNetwork.from_path(path, limits, fake)
    else:
        source, imported = f"name={name}", import_network(str(name), kwargs or {}, prefix="")
        if weights is not None:
            load_weights(imported, weights, "weights")
        network = AdaptedNetwork(imported, limits, fake)
    differentiable = network.check(source, shape["channels"], shape["resolution"])
    if not trainable:
        return FrozenModuleDetector(FrozenNetwork(network), artefact, differentiable, **shape)
    some = differentiable and any(parameter.requires_grad for parameter in network.parameters())
    require(some, "trainable", True, "a network with parameters to train")
    return TrainableModuleDetector(network, artefact, learning_rate, **shape)


@functools.lru_cache(maxsize=4)
def _kept(path: str, limits: Range, fake: int, channels: int, side: int) -> tuple[AdaptedNetwork, str, bool]:
    """Load a frozen network once for all detectors that hold it.

    Returns:
        The network, the hash of its files, and whether a gradient reaches the images.
    """
    network = AdaptedNetwork.from_path(path, limits, fake).eval().requires_grad_(False)
    differentiable = network.check(f"{KEY}={path}", channels, side)
    if path.endswith(".onnx"):
        files = onnx.files_of(path)
    else:
        file = Path(path).expanduser()
        files = transformers_files.files_of(path) if file.is_dir() else [file]
    return network, file_hash(files), differentiable
