"""Adapt a network from another package: input range, frozen weights, weights kept outside the checkpoint."""

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
"""By how much a score taken alone may differ, beside 1 or its own size: batches of other sizes are summed otherwise."""
Range = tuple[float, float]


class Foreign(nn.Module):
    """Images (B, C, H, W) in [-1, 1] to logits (B,), higher meaning more fake.

    Args:
        network: to logits (B,), (B, 1) or (B, K) of K classes.
        range: of the images it expects: black and white.
        fake: of several classes, that of fakes.
    """

    def __init__(self, network: nn.Module, range: Range, fake: int) -> None:
        super().__init__()
        self.network, self.range, self.fake = network, range, fake

    @classmethod
    def of(cls, path: str, range: Range, fake: int) -> Self:
        """The network of an ONNX file, a checkpoint's folder or a program's file.

        Raises:
            ArenaError: where there is none.
        """
        if path.endswith(".onnx"):
            return cls(OnnxNetwork(path, KEY), range, fake)
        if Path(path).expanduser().is_dir():
            return cls(Checkpoint(path, KEY, range), (-1, 1), fake)
        return cls(load_program(path, prefix=""), range, fake)

    def train(self, mode: bool = True) -> Self:
        """Set the mode, of the network too where it has one to set."""
        self.training = mode
        set_mode(self.network, mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,); of several classes, the log odds of that of fakes."""
        black, white = self.range
        if self.range != (-1, 1):
            images = (images + 1) * ((white - black) / 2) + black
        # TorchScript's optimiser rounds its first few calls otherwise than later ones.
        with torch.jit.optimized_execution(False):  # pyright: ignore[reportPrivateImportUsage]
            found = self.network(images)
        if not isinstance(found, Tensor) or found.ndim != 2:
            return found
        if found.shape[1] == 1:
            return found[:, 0]
        require(0 <= self.fake < found.shape[1], "fake", self.fake, f"one of {found.shape[1]} classes, from 0")
        others = torch.cat([found[:, : self.fake], found[:, self.fake + 1 :]], dim=1)
        return found[:, self.fake] - others.logsumexp(1)

    def checked(self, source: str, channels: int, side: int) -> bool:
        """Whether a gradient of its logits reaches the images.

        Args:
            source: key and value by which the configuration names the network.
            channels: of the images.
            side: of the images.

        Raises:
            ArenaError: where it makes no such logits, or those of an image depend on the others of its batch.
        """
        rng = torch.Generator().manual_seed(0)
        images = torch.rand(3, channels, side, side, generator=rng) * 2 - 1
        images[1] = -1
        mode = self.training
        self.eval()
        try:
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                together, alone = self._tried(images, source), self._tried(images[:1], source)
            self._compared(together[0], alone[0], source)
            return self._reached(images)
        finally:
            self.train(mode)

    @staticmethod
    def _compared(together: float, alone: float, source: str) -> None:
        """Refuse a score that is not the image's own."""
        if not math.isclose(together, alone, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            own = f"{source}: expected a logit that is the image's own"
            raise ArenaError(f"{own}, found {alone:.5g} alone and {together:.5g} among others")

    def _tried(self, images: Tensor, source: str) -> list[float]:
        """Logits of a batch, if that is what they are."""
        expected = f"{source}: expected logits ({len(images)},), ({len(images)}, 1) or of classes of images"
        try:
            found = self(images)
        except ArenaError:
            raise
        except Exception as error:  # whatever a network raises that is handed what it does not take
            reason = (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
            raise ArenaError(f"{expected} {tuple(images.shape)}, got none ({reason})") from error
        if not isinstance(found, Tensor) or found.shape != (len(images),):
            kind = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ArenaError(f"{expected} {tuple(images.shape)}, found {kind}")
        if not found.isfinite().all():
            raise ArenaError(f"{source}: expected logits, found values that are not finite")
        return found.tolist()

    def _reached(self, images: Tensor) -> bool:
        """Whether there is a finite gradient with respect to images."""
        images = images.clone().requires_grad_()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            logits = self(images)
            if not logits.requires_grad:
                return False
            (gradient,) = torch.autograd.grad(logits.sum(), images, allow_unused=True)
        return gradient is not None and bool(gradient.isfinite().all())


class Frozen(nn.Module):
    """Holds a network, its weights without gradients, in eval mode whatever mode its detector is put in.

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
        """What the network makes of images (B, C, H, W); gradients reach them."""
        return self.network(images)


class Outside(nn.Module):
    """Holds a network of which only the hash of its files is among a detector's tensors.

    A race saves every detector of every round, and all of them would hold the same weights, of a gigabyte each where
    the network is large. The run's configuration names their files; the hash says whether these are still the same.

    Args:
        network: frozen, in eval mode; many detectors may hold the same one.
        fingerprint: SHA-256 (hex) of the files it came from.
        key: of the configuration that names them.
    """

    fingerprint: Tensor

    def __init__(self, network: nn.Module, fingerprint: str, key: str) -> None:
        super().__init__()
        self.held, self.key = (network,), key  # in a tuple, where a module does not look for modules
        self.register_buffer("fingerprint", torch.tensor(list(bytes.fromhex(fingerprint)), dtype=torch.uint8))

    def forward(self, images: Tensor) -> Tensor:
        """What the network makes of images, in fp32 and where they are; gradients reach them."""
        with torch.autocast(images.device.type, enabled=False):
            return self.held[0].to(images.device)(images.float())

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Refuse to be a detector that looked through another network."""
        saved = state_dict.get(f"{prefix}fingerprint")
        if saved is not None and not torch.equal(saved.cpu(), self.fingerprint.cpu()):
            raise ArenaError(f"{self.key}: expected the files this detector was trained with, found others")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
