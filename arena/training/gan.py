"""Train a generator and its discriminator, with an exponential moving average of the generator."""

import copy
import json
from io import BytesIO
from pathlib import Path
from typing import cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from arena.core.errors import ArenaError, first_line
from arena.core.files import write_atomically
from arena.core.seeding import derive_seed
from arena.core.tensors import give_tensors, load_module, load_tensors, save_module, save_tensors
from arena.generators.base import TrainableGenerator
from arena.generators.layers import store_channels_last
from arena.generators.style import StyleGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from arena.training.ada import Augmentation, Augmenter
from arena.training.losses import DiscriminatorLoss, GanLoss, PathLength
from arena.training.meter import Meter
from arena.training.opponents.opponents import Opponents

PARTS = ("generator", "discriminator", "augmenter", "path_length")
"""Modules that are saved besides the average."""
OPPONENTS = "opponents.pt"
"""File of the opponents' state."""
MOMENTS, COUNTS = "optimizers.safetensors", "counts.json"
"""Files of the moments of both optimizers, and of the counts."""
Moments = dict[int, dict[str, Tensor]]
"""State of an optimizer: number of a parameter -> name of a moment -> its tensor."""


class DivergedError(Exception):
    """A loss or a weight of the GAN is no longer finite."""


class GanTraining(pl.LightningModule):
    """Train a generator against its own discriminator and against the detectors it attacks.

    Each step draws all random numbers from one stream, seeded by the phase and the step number. A phase that was killed
    and resumed from a snapshot is therefore identical to the bit. Lightning's ``global_step`` counts the steps of both
    optimizers.

    Args:
        generator: trained in place.
        discriminator: from ``generator.discriminator``; trained in place.
        loss: of the GAN.
        evidence: path that reals and fakes take to the discriminator.
        reals: uint8 (N, C, H, W), generator-train.
        batch: images of a step.
        seed: of the phase.
        opponents: detectors that pull the fakes beside the discriminator. None for none.
        augmentation: of the discriminator's images; None for none.
        log_every: steps between logged losses. Only these steps wait for the device.
    """

    reals: Tensor

    def __init__(
        self,
        *,
        generator: TrainableGenerator,
        discriminator: nn.Module,
        loss: GanLoss,
        evidence: Evidence,
        reals: Tensor,
        batch: int,
        seed: int,
        opponents: Opponents | None = None,
        augmentation: Augmentation | None = None,
        log_every: int = 50,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.discriminator = generator.train(), discriminator.train()
        store_channels_last(generator)
        store_channels_last(discriminator)
        self.ema = copy.deepcopy(self.generator).eval().requires_grad_(False)
        self.loss, self.evidence, self.opponents = loss, evidence, opponents
        self.augmenter = Augmenter(augmentation or Augmentation())
        self.path_length = PathLength(loss.path_length, loss.path_length_interval)
        self.meter = Meter() if opponents is None else opponents.meter
        """What this phase has cost, opponents included."""
        self.batch, self.seed, self.log_every = batch, seed, log_every
        self.register_buffer("reals", reals, persistent=False)
        self.step = 0
        """Steps done in this phase."""
        self.images_seen = 0
        """Real images shown over the life of the generator."""
        self.learning_rate = generator.learning_rate
        """Of both players. It is lowered after a fault of training."""
        self._moments: list[Moments] = []
        """Of both optimizers at the last snapshot, empty before the first one."""

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return Adam for the generator and for the discriminator, in the state of the last snapshot."""
        rate, betas = self.learning_rate, (float(self.loss.beta1), float(self.loss.beta2))
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=betas, fused=True)
            for network in (self.generator, self.discriminator)
        ]
        if self._moments:
            for optimizer, moments in zip(optimizers, self._moments, strict=True):
                give_moments(optimizer, moments)
        return optimizers

    def training_step(self, _step: int) -> None:
        """Take one step of both players."""
        of_generator, of_discriminator = cast(list[LightningOptimizer], self.optimizers())
        rng = torch.Generator(self.device).manual_seed(derive_seed(self.seed, "step", self.step))

        # 1. Reals and fakes, down the same path.
        drawn = torch.randint(len(self.reals), (self.batch,), generator=rng, device=self.device)
        reals = self.evidence(to_float(self.reals[drawn]))
        z = torch.randn(self.batch, self.generator.z_dim, generator=rng, device=self.device)
        with self.meter.work("fakes"):
            fakes = self.evidence(self.generator.draw(z, rng).float())

        # 2. The discriminator learns to classify them, through its augmentations.
        critic = self.augmenter.before(self.discriminator, rng)
        of_discriminator.zero_grad()
        with self.meter.work(f"discriminator, penalty {self.loss.penalises(self.step)}"):
            discriminator_loss = self.loss.of_discriminator(critic, reals, fakes.detach(), self.step)
            self.manual_backward(discriminator_loss.adversarial + discriminator_loss.penalty)
        of_discriminator.step()
        self.augmenter.observe(discriminator_loss.overfitting, self.step, self.batch)

        # 3. The generator learns from the discriminator, and from its opponents, which pull at the fakes.
        self.discriminator.requires_grad_(False)  # gradients of its weights are not needed here
        with self.meter.work("adversarial"):
            adversarial = self.loss.of_generator(critic, reals, fakes)
            (gradient,) = torch.autograd.grad(adversarial, fakes)
        detector_loss = adversarial.new_zeros(())
        if self.opponents is not None:
            detector_loss, pull = self.opponents.pull(fakes.detach(), gradient, rng)
            gradient = gradient + pull
        of_generator.zero_grad()
        with self.meter.work("generator"):
            self.manual_backward(fakes, gradient)
        if self.path_length.weight and self.step % self.path_length.interval == 0:
            with self.meter.work("path length"):
                self.manual_backward(self.path_length(cast(StyleGenerator, self.generator), z, rng))
        of_generator.step()
        self.meter.add(generator_updates=1, discriminator_updates=1)
        self.discriminator.requires_grad_(True)

        # 4. The average follows.
        self.step += 1
        self.images_seen += self.batch
        kept = decay(self.batch, self.images_seen, self.loss.ema_images, self.loss.ema_ramp)
        update_average(self.ema, self.generator, kept)
        if self.step % self.log_every == 0:
            self._log(discriminator_loss, adversarial.detach(), detector_loss)

    def _log(self, discriminator_loss: DiscriminatorLoss, adversarial: Tensor, detector_loss: Tensor) -> None:
        """Log the losses of a step. Raises ``DivergedError`` if one of them is not finite."""
        losses = {f"gan/discriminator_{name}": value.detach() for name, value in discriminator_loss._asdict().items()}
        losses |= {"gan/generator_adversarial": adversarial, "gan/generator_detector_loss": detector_loss}
        losses |= {"gan/augmentation": self.augmenter.probability.clone()}
        losses |= {f"opponents/{name}": value for name, value in self.figures_of_opponents().items()}
        if not torch.stack(list(losses.values())).isfinite().all():
            raise DivergedError(f"a loss was not finite by step {self.step}")
        losses["images"] = torch.tensor(float(self.step * self.batch))  # the axis of the phase's curves
        self.log_dict(losses, batch_size=self.batch)

    def figures_of_opponents(self) -> dict[str, Tensor]:
        """Return the scalars of the opponents by name, none without opponents."""
        return {} if self.opponents is None else self.opponents.figures()

    def save(self, folder: Path) -> None:
        """Write the state of training, each file atomically.

        ``generator.safetensors`` holds the average, which forges. ``gan.safetensors`` holds generator, discriminator,
        augmentation and path length. ``optimizers.safetensors`` holds Adam's moments, and ``counts.json`` the counts.
        Equal states make equal files. ``opponents.pt`` holds the state of opponents that have one.
        """
        states = {part: getattr(self, part).state_dict() for part in PARTS}
        flat = {f"{part}.{name}": value for part, state in states.items() for name, value in state.items()}
        if self._trainer is not None:
            self._moments = [optimizer.state_dict()["state"] for optimizer in self.trainer.optimizers]
        moments = {
            f"{number}.{index}.{name}": value
            for number, states in enumerate(self._moments)
            for index, state in states.items()
            for name, value in state.items()
        }
        counts = {"step": self.step, "images_seen": self.images_seen, "learning_rate": self.learning_rate}
        save_module(self.ema, folder / "generator.safetensors")
        save_tensors(flat, folder / "gan.safetensors")
        save_tensors(moments, folder / MOMENTS)
        write_atomically(folder / COUNTS, json.dumps(counts).encode())
        if self.opponents is not None and (state := self.opponents.state()):
            buffer = BytesIO()
            torch.save(state, buffer)
            write_atomically(folder / OPPONENTS, buffer.getvalue())

    def load(self, folder: Path) -> None:
        """Load a saved state. Call it before ``fit``, and set ``step`` to 0 at the start of a new phase.

        Raises:
            ArenaError: if the folder holds weights of another network, none, or damaged ones.
        """
        for part in PARTS:
            load_part(getattr(self, part), folder, part)
        self.augmenter.restore_fixed()
        load_module(self.ema, folder / "generator.safetensors")
        self.trainer = None  # its optimizers hold the earlier moments
        self._moments = [{}, {}]
        for key, value in load_tensors(folder / MOMENTS).items():
            number, index, name = key.split(".")
            self._moments[int(number)].setdefault(int(index), {})[name] = value
        counts = _counts(folder)
        self.step, self.images_seen = int(counts["step"]), int(counts["images_seen"])
        self.learning_rate = counts["learning_rate"]
        if self.opponents is not None and (folder / OPPONENTS).is_file():
            self.opponents.restore(torch.load(folder / OPPONENTS, map_location="cpu", weights_only=True))


def give_moments(optimizer: torch.optim.Optimizer, moments: Moments) -> None:
    """Copy saved moments into an optimizer, in the memory layout of its parameters.

    torch's fused Adam walks through parameters and moments in the order of memory, and does not compare their layouts.
    """
    own = optimizer.state_dict()
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    held = {
        index: {
            name: torch.empty_like(parameters[index]).copy_(value) if value.dim() else value.clone()
            for name, value in state.items()
        }
        for index, state in moments.items()
    }
    optimizer.load_state_dict({"state": held, "param_groups": own["param_groups"]})


def load_part(module: nn.Module, folder: Path, part: str) -> None:
    """Load one part of a saved GAN, such as its discriminator, in place.

    Raises:
        ArenaError: if the folder holds weights of another network, none, or damaged ones.
    """
    path = folder / "gan.safetensors"
    raw = load_tensors(path)
    own = {name.removeprefix(f"{part}."): raw[name] for name in raw if name.startswith(f"{part}.")}
    give_tensors(module, own, str(path))


def images_seen_by(folder: Path) -> int:
    """Return the real images shown over the life of a saved generator.

    Raises:
        ArenaError: if the folder holds no saved GAN.
    """
    return int(_counts(folder)["images_seen"])


def steps_of(folder: Path) -> int:
    """Return the steps that a saved GAN had done in its phase.

    Raises:
        ArenaError: if the folder holds no saved GAN.
    """
    return int(_counts(folder)["step"])


def _counts(folder: Path) -> dict[str, float]:
    path = folder / COUNTS
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
        return {name: counts[name] for name in ("step", "images_seen", "learning_rate")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArenaError(f"{path}: expected the counts of a saved GAN ({first_line(error)})") from error


def decay(batch: int, images_seen: int, half_life: float, ramp: float) -> float:
    """Return the weight of the old average in one step: 0.5^(batch / min(half_life, ramp * images_seen)).

    >>> decay(batch=64, images_seen=2560, half_life=10_000, ramp=0.05)  # half-life 128
    0.7071067811865476

    Args:
        batch: images of the step.
        images_seen: over the life of the generator, including this step. A young average follows quickly.
        half_life: in images.
        ramp: upper limit of the half-life as a share of the images seen (0.05 in StyleGAN2-ADA).
    """
    return 0.5 ** (batch / min(half_life, ramp * images_seen))


@torch.no_grad()
def update_average(average: nn.Module, module: nn.Module, kept: float) -> None:
    """Move parameters of the average towards the module's, with weight ``kept`` on the old ones, and copy buffers."""
    blend = get_ema_multi_avg_fn(kept)  # one fused call over all tensors
    blend(list(average.parameters()), list(module.parameters()), 0)
    for averaged, current in zip(average.buffers(), module.buffers(), strict=True):
        averaged.copy_(current)
