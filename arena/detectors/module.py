"""Detectors from other packages: any network from images to logits, fine-tuned by the race or frozen."""

import functools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self, Unpack

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from arena.core.errors import ArenaError, require
from arena.core.files import file_hash
from arena.detectors.base import FittedDetector, ImageShape, NetworkDetector
from arena.detectors.heads import PlattScaling
from arena.detectors.networks.wrappers import FrozenNetwork, UnsavedNetwork
from arena.generators.controls import Artefact
from arena.outside import onnx, transformers_files
from arena.outside.programs import (
    check_source,
    last_line,
    load_network,
    require_parameters,
    set_mode,
    untie_weights,
)

BATCH = 64
"""Images in one pass through a frozen network."""
TOLERANCE = 1e-3
"""Largest difference, absolute or relative, of a score taken alone and in a batch: batches are summed otherwise."""


class AdaptedNetwork(nn.Module):
    """Images (B, C, H, W) in [-1, 1] to logits (B,), higher meaning more fake.

    Args:
        network: to logits (B,), (B, 1) or (B, K) of K classes.
        value_range: black and white of the images that the network expects.
        fake: index of the class of fakes, of several classes.
    """

    def __init__(self, network: nn.Module, value_range: tuple[float, float], fake: int) -> None:
        super().__init__()
        self.network, self.value_range, self.fake = network, value_range, fake

    @classmethod
    def from_path(cls, path: str, value_range: tuple[float, float], fake: int) -> Self:
        """Load the network of an ONNX file, of a folder of the transformers library, or of a program's file."""
        if path.endswith(".onnx"):
            return cls(onnx.OnnxNetwork(path), value_range, fake)
        if Path(path).expanduser().is_dir():
            return cls(transformers_files.Checkpoint(path, value_range), (-1, 1), fake)
        return cls(load_network(path=path, prefix=""), value_range, fake)

    def train(self, mode: bool = True) -> Self:
        """Set the mode, also of the network where it has one to set."""
        self.training = mode
        set_mode(self.network, mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,). Of several classes, the log odds of the class of fakes."""
        black, white = self.value_range
        if self.value_range != (-1, 1):
            images = (images + 1) * ((white - black) / 2) + black
        # TorchScript's optimiser rounds its first few calls otherwise than later ones.
        with torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            logits = self.network(images)
        if not isinstance(logits, Tensor) or logits.ndim != 2:
            return logits
        if logits.shape[1] == 1:
            return logits[:, 0]
        require(0 <= self.fake < logits.shape[1], "fake", self.fake, f"one of {logits.shape[1]} classes, from 0")
        others = torch.cat([logits[:, : self.fake], logits[:, self.fake + 1 :]], dim=1)
        return logits[:, self.fake] - others.logsumexp(1)

    def check(self, source: str, channels: int, side: int) -> bool:
        """Try the network on a few images, and return whether a gradient of the logits reaches them.

        Errors name the network by ``source``, its key and value in the configuration.

        Raises:
            ArenaError: where it gives no such logits, or the logit of an image depends on the rest of the batch.
        """
        rng = torch.Generator().manual_seed(0)
        images = torch.rand(3, channels, side, side, generator=rng) * 2 - 1
        images[1] = -1
        mode = self.training
        self.eval()
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                together, alone = self._tried(images, source)[0], self._tried(images[:1], source)[0]
            if not math.isclose(together, alone, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                own = f"{source}: expected a logit that is the image's own"
                raise ArenaError(f"{own}, found {alone:.5g} alone and {together:.5g} among others")
            return self._has_gradient(images)
        finally:
            self.train(mode)

    def _tried(self, images: Tensor, source: str) -> list[float]:
        """Logits of a batch, or an ``ArenaError`` where the network gives something else."""
        expected = f"{source}: expected logits ({len(images)},), ({len(images)}, 1) or of classes of images"
        try:
            logits = self(images)
        except ArenaError:
            raise
        except Exception as error:  # a network may raise anything on input of another shape
            raise ArenaError(f"{expected} {tuple(images.shape)}, got none ({last_line(error)})") from error
        if not isinstance(logits, Tensor) or logits.shape != (len(images),):
            kind = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ArenaError(f"{expected} {tuple(images.shape)}, found {kind}")
        if not logits.isfinite().all():
            raise ArenaError(f"{source}: expected logits, found values that are not finite")
        return logits.tolist()

    def _has_gradient(self, images: Tensor) -> bool:
        """Return whether there is a finite gradient with respect to images."""
        images = images.clone().requires_grad_()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            logits = self(images)
            if not logits.requires_grad:
                return False
            (gradient,) = torch.autograd.grad(logits.sum(), images, allow_unused=True)
        return gradient is not None and bool(gradient.isfinite().all())


class TrainableModuleDetector(NetworkDetector):
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
    value_range: Sequence[float] = (-1, 1),
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
        value_range: black and white of the images that the network expects.
        fake: index of the class of fakes, of several classes.
        artefact: kind of planted artefact that a fit judge of it must catch.
        learning_rate: peak of its schedule; None (default) for the battery's, which is high for fine-tuning.
        shape: of the images.

    Raises:
        ArenaError: where there is no such network, or it gives no logits of images like the data's.
    """
    limits = check_source(path=path, name=name, value_range=value_range, prefix="", files="a file or folder")
    require(weights is None or not path, "weights", weights, "null, since path brings its own")
    runs_only = trainable and str(path).endswith(".onnx")
    require(not runs_only, "trainable", True, "false of an ONNX file, which cannot be trained")
    if path and not trainable:
        network, fingerprint, differentiable = _kept(path, limits, fake, shape["channels"], shape["resolution"])
        return FrozenModuleDetector(UnsavedNetwork(network, fingerprint), artefact, differentiable, **shape)
    if path:
        source, network = f"path={path}", AdaptedNetwork.from_path(path, limits, fake)
    else:
        source = f"name={name}"
        network = AdaptedNetwork(load_network(name=name, kwargs=kwargs, weights=weights, prefix=""), limits, fake)
    differentiable = network.check(source, shape["channels"], shape["resolution"])
    if not trainable:
        return FrozenModuleDetector(FrozenNetwork(network), artefact, differentiable, **shape)
    require(differentiable, "trainable", True, "a network with a gradient")
    require_parameters(network, prefix="")
    return TrainableModuleDetector(network, artefact, learning_rate, **shape)


@functools.lru_cache(maxsize=4)
def _kept(
    path: str, limits: tuple[float, float], fake: int, channels: int, side: int
) -> tuple[AdaptedNetwork, str, bool]:
    """Load a frozen network once, with the hash of its files and whether a gradient reaches the images."""
    network = AdaptedNetwork.from_path(path, limits, fake).eval().requires_grad_(False)
    differentiable = network.check(f"path={path}", channels, side)
    if path.endswith(".onnx"):
        files = onnx.files_of(path)
    else:
        file = Path(path).expanduser()
        files = transformers_files.files_of(path) if file.is_dir() else [file]
    return network, file_hash(files), differentiable
