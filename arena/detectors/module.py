"""Detectors from outside: any network from images to logits, fine-tuned by the race or frozen."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from arena.core.errors import require
from arena.core.files import file_hash
from arena.detectors.base import FittedDetector, LearnedDetector
from arena.detectors.heads.head import Platt
from arena.detectors.networks.foreign import KEY, Foreign, Frozen, Outside, Range
from arena.generators.artefacts import Artefact
from arena.outside import onnx
from arena.outside import transformers_files as pretrained
from arena.outside.programs import each_its_own, import_network
from arena.outside.weights import load_weights

BATCH = 64
"""Images a frozen network is given at once."""


class TrainableModuleDetector(LearnedDetector):
    """A network from outside that learns as the others do: fine-tuned from its weights, or from scratch.

    It learns alone, since it may draw from torch's global streams (dropout), which are seeded for every step. An
    exported program stays in the mode it was exported in.
    """

    draws = True

    def __init__(self, foreign: Foreign, artefact: Artefact, learning_rate: float | None, **shape: int) -> None:
        super().__init__(**shape, learning_rate=learning_rate)
        self.foreign, self.artefact = foreign, artefact
        self.register_state_dict_post_hook(each_its_own)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W)."""
        return self.foreign(images)


class FrozenModuleDetector(FittedDetector):
    """A network from outside as it is; the scale of its logit is set on validation."""

    def __init__(self, foreign: Frozen | Outside, artefact: Artefact, differentiable: bool, **shape: int) -> None:
        super().__init__(**shape)
        self.foreign, self.artefact, self.differentiable = foreign, artefact, differentiable
        self.head = Platt()
        self.register_state_dict_post_hook(each_its_own)

    def features(self, images: Tensor) -> Tensor:
        """Its logit (B, 1) of images (B, C, H, W)."""
        return torch.cat([self.foreign(few) for few in images.split(BATCH)]).float()[:, None]


def module_detector(
    *,
    resolution: int,
    channels: int,
    levels: int,
    path: str | None = None,
    name: str | None = None,
    kwargs: Mapping[str, object] | None = None,
    weights: str | None = None,
    trainable: bool = True,
    range: Sequence[float] = (-1, 1),
    fake: int = 1,
    artefact: Artefact = "checkerboard",
    learning_rate: float | None = None,
) -> TrainableModuleDetector | FrozenModuleDetector:
    """A detector out of a file or of a class: images (B, C, H, W) of the data's size to logits.

    Logits are (B,) or (B, 1), higher meaning more fake, or (B, K) of K classes. A frozen network of a file stays out of
    what is saved of the detector, which holds the hash of the file (``Outside``); any other is saved with it.

    Args:
        resolution: side in pixels of the images.
        channels: 1 or 3.
        levels: grey levels of the data.
        path: of a TorchScript file or an exported program (``arena.outside.programs`` says whom to trust), of an ONNX file
            (``.onnx``), or of a folder with an image classifier of the transformers library.
        name: instead, dotted, of a class or function that makes an ``nn.Module``.
        kwargs: that ``name`` is called with.
        weights: safetensors file to load into what ``name`` makes; None for those it comes with.
        trainable: whether it learns in the race, or is only calibrated.
        range: of the images it expects: black and white.
        fake: of several classes, that of fakes.
        artefact: kind of planted artefact that a fit judge of it must catch.
        learning_rate: highest of its cycle; None for the battery's, which is high for fine-tuning.

    Raises:
        ArenaError: where there is no such network, or it makes no logits of images like the data's.
    """
    either = "a file or folder, or null and a class in name"
    require(bool(path) != bool(name), KEY, path or "null", either if name is None else f"{either}, not both")
    require(weights is None or not path, "weights", weights, "null, since path brings its own")
    require(len(range) == 2 and range[0] < range[-1], "range", list(range), "black and white, as in [-1,1]")
    require(artefact in get_args(Artefact), "artefact", artefact, f"one of {', '.join(get_args(Artefact))}")
    runs_only = trainable and str(path).endswith(".onnx")
    require(not runs_only, "trainable", True, "false of an ONNX file, which cannot be trained")
    shape = {"resolution": resolution, "channels": channels, "levels": levels}
    limits = (float(range[0]), float(range[1]))
    if path and not trainable:
        foreign, fingerprint, differentiable = _kept(path, limits, fake, channels, resolution)
        return FrozenModuleDetector(Outside(foreign, fingerprint, KEY), artefact, differentiable, **shape)
    if path:
        source, foreign = f"{KEY}={path}", Foreign.of(path, limits, fake)
    else:
        source, network = f"name={name}", import_network(str(name), kwargs or {}, prefix="")
        if weights is not None:
            load_weights(network, weights, "weights")
        foreign = Foreign(network, limits, fake)
    differentiable = foreign.checked(source, channels, resolution)
    if not trainable:
        return FrozenModuleDetector(Frozen(foreign), artefact, differentiable, **shape)
    some = differentiable and any(parameter.requires_grad for parameter in foreign.parameters())
    require(some, "trainable", True, "a network with parameters to train")
    return TrainableModuleDetector(foreign, artefact, learning_rate, **shape)


@functools.lru_cache(maxsize=4)
def _kept(path: str, limits: Range, fake: int, channels: int, side: int) -> tuple[Foreign, str, bool]:
    """A frozen network of a file or folder, once for all detectors that hold it.

    Returns:
        the network, the hash of the files it came from, and whether a gradient reaches the images.
    """
    foreign = Foreign.of(path, limits, fake).eval().requires_grad_(False)
    differentiable = foreign.checked(f"{KEY}={path}", channels, side)
    if path.endswith(".onnx"):
        files = onnx.files_of(path)
    else:
        file = Path(path).expanduser()
        files = pretrained.files_of(path) if file.is_dir() else [file]
    return foreign, file_hash(files), differentiable
