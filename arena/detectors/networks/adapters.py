"""Adapt a network from another package: its input range, its output, and whether its weights are saved."""

import math
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError, require
from arena.detectors.networks.checkpoint import Checkpoint
from arena.outside.onnx import OnnxNetwork
from arena.outside.programs import load_program, set_mode

KEY = "path"
TOLERANCE = 1e-3
"""Largest difference, absolute or relative, of a score taken alone and in a batch: batches are summed otherwise."""
Range = tuple[float, float]
"""Values of black and white."""


class AdaptedNetwork(nn.Module):
    """Images (B, C, H, W) in [-1, 1] to logits (B,), higher meaning more fake.

    Args:
        network: to logits (B,), (B, 1) or (B, K) of K classes.
        range: of the images that the network expects.
        fake: index of the class of fakes, of several classes.
    """

    def __init__(self, network: nn.Module, range: Range, fake: int) -> None:
        super().__init__()
        self.network, self.range, self.fake = network, range, fake

    @classmethod
    def from_path(cls, path: str, range: Range, fake: int) -> Self:
        """Load the network of an ONNX file, of a folder of the transformers library, or of a program's file.

        Raises:
            ArenaError: where there is none.
        """
        if path.endswith(".onnx"):
            return cls(OnnxNetwork(path, KEY), range, fake)
        if Path(path).expanduser().is_dir():
            return cls(Checkpoint(path, KEY, range), (-1, 1), fake)
        return cls(load_program(path, prefix=""), range, fake)

    def train(self, mode: bool = True) -> Self:
        """Set the mode, also of the network where it has one to set."""
        self.training = mode
        set_mode(self.network, mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,). Of several classes, the log odds of the class of fakes."""
        black, white = self.range
        if self.range != (-1, 1):
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

        Args:
            source: key and value that name the network in the configuration.
            channels: of the images.
            side: of the images.

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
        """Logits of a batch.

        Raises:
            ArenaError: where the network gives something else.
        """
        expected = f"{source}: expected logits ({len(images)},), ({len(images)}, 1) or of classes of images"
        try:
            logits = self(images)
        except ArenaError:
            raise
        except Exception as error:  # a network may raise anything on input of another shape
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
            raise ArenaError(f"{expected} {tuple(images.shape)}, got none ({reason})") from error
        if not isinstance(logits, Tensor) or logits.shape != (len(images),):
            kind = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise ArenaError(f"{expected} {tuple(images.shape)}, found {kind}")
        if not logits.isfinite().all():
            raise ArenaError(f"{source}: expected logits, found values that are not finite")
        return logits.tolist()

    def _has_gradient(self, images: Tensor) -> bool:
        """Whether there is a finite gradient with respect to images."""
        images = images.clone().requires_grad_()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            logits = self(images)
            if not logits.requires_grad:
                return False
            (gradient,) = torch.autograd.grad(logits.sum(), images, allow_unused=True)
        return gradient is not None and bool(gradient.isfinite().all())


class FrozenNetwork(nn.Module):
    """A network with frozen weights that stays in eval mode, even when its detector is in training mode.

    In eval mode batch normalisation uses its running statistics, so that an image does not depend on its batch.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode."""
        return super().train(False)

    def forward(self, images: Tensor) -> Tensor:
        """Output of the network on images (B, C, H, W); gradients reach them."""
        return self.network(images)


class UnsavedNetwork(nn.Module):
    """A network whose weights are not saved with the detector: the hash of its files stands for them.

    A race saves every detector of every round, and a large network would be saved again with each. The run's
    configuration names the files, and the hash tells whether they are still the same.

    Args:
        network: frozen, in eval mode. Many detectors may hold the same one.
        fingerprint: SHA-256 (hex) of its files.
        key: of the configuration that names the files.
    """

    fingerprint: Tensor

    def __init__(self, network: nn.Module, fingerprint: str, key: str) -> None:
        super().__init__()
        self.held, self.key = (network,), key  # a module does not look for modules in a tuple
        self.register_buffer("fingerprint", torch.tensor(list(bytes.fromhex(fingerprint)), dtype=torch.uint8))

    def forward(self, images: Tensor) -> Tensor:
        """Output of the network in fp32, on the device of the images; gradients reach them."""
        with torch.autocast(images.device.type, enabled=False):
            return self.held[0].to(images.device)(images.float())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Refuse tensors that were saved with other files."""
        saved = state_dict.get(f"{prefix}fingerprint")
        if saved is not None and not torch.equal(saved.cpu(), self.fingerprint.cpu()):
            raise ArenaError(f"{self.key}: expected the files this detector was trained with, found others")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
