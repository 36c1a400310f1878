"""Train a generator and its discriminator, with an exponential moving average of the generator."""

import copy
from io import BytesIO
from pathlib import Path
from typing import Protocol, TypedDict, TypeVar, cast

import pytorch_lightning as pl
import safetensors.torch
import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from arena.core.errors import ArenaError, first_line
from arena.core.files import write_atomically
from arena.core.seeding import derive_seed
from arena.generators.base import TrainableGenerator
from arena.generators.style import StyleGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from arena.training.ada import Augmentation, Augmenter
from arena.training.losses import DiscriminatorLoss, GanLoss, PathLength, check_paths

Module = TypeVar("Module", bound=nn.Module)


def average_of(module: Module) -> Module:
    """A copy to average into: in eval mode, without gradients."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def decay(batch: int, images_seen: int, half_life: float, ramp: float) -> float:
    """Share of the average that stays after one step: 0.5^(batch / min(half_life, ramp * images_seen)).

    Args:
        batch: images of the step.
        images_seen: over the generator's life, this step included, so that a young average follows quickly.
        half_life: in images.
        ramp: the half-life is at most this share of the images seen (StyleGAN2-ADA: 0.05).
    """
    return 0.5 ** (batch / min(half_life, ramp * images_seen))


@torch.no_grad()
def update(average: nn.Module, module: nn.Module, decay: float) -> None:
    """Move the average's parameters towards the module's; its buffers (running statistics) become the module's."""
    blend = get_ema_multi_avg_fn(decay)  # one fused call over all tensors
    blend(list(average.parameters()), list(module.parameters()), 0)
    for averaged, current in zip(average.buffers(), module.buffers(), strict=True):
        averaged.copy_(current)


OptimizerState = dict[str, object]


class Counts(TypedDict):
    """What training goes on from besides weights and moments."""

    step: int
    images_seen: int
    learning_rate: float


class DivergedError(Exception):
    """A loss or a weight of the GAN is no longer finite."""


class DetectorLoss(Protocol):
    """What detectors outside the GAN tell its generator: a scalar loss of fakes that came down the evidence path."""

    def __call__(self, fakes: Tensor, rng: torch.Generator) -> Tensor:
        """A scalar loss, lower where the fakes (B, C, H, W) hide better; what is random is drawn from ``rng``."""
        ...


class GanTraining(pl.LightningModule):
    """Trains a generator against its own discriminator, and against whatever presses on it from outside.

    A training step sees nothing of the loader's batch: a loader of n ticks is n steps. Each step draws all its
    randomness from one stream, named by the phase's seed and the step's number, so that a phase killed and resumed from
    a snapshot goes on bit for bit as if it had not been. Lightning's ``global_step`` counts both optimizers' steps.

    Args:
        generator: trained in place.
        discriminator: its own, from ``generator.discriminator``; trained in place.
        loss: of the GAN.
        evidence: the path on which the discriminator sees reals and fakes alike.
        reals: uint8 (N, C, H, W), generator-train.
        batch: images of a step.
        seed: of the phase.
        detector_loss: what detectors tell, added to the generator's loss; None for none.
        augmentation: of what the discriminator sees; None for none.
        log_every: steps from one look at the losses to the next; between them nothing waits for the device.
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
        detector_loss: DetectorLoss | None = None,
        augmentation: Augmentation | None = None,
        log_every: int = 50,
    ) -> None:
        super().__init__()
        check_paths(loss.path_length, generator)
        self.automatic_optimization = False
        self.generator, self.discriminator = generator.train(), discriminator.train()
        _store_channels_last(generator, discriminator)
        self.ema = average_of(self.generator)
        self.loss, self.evidence, self.detector_loss = loss, evidence, detector_loss
        self.augmenter = Augmenter(augmentation or Augmentation())
        self.path_length = PathLength(loss.path_length, loss.path_length_interval)
        self.batch, self.seed, self.log_every = batch, seed, log_every
        self.register_buffer("reals", reals, persistent=False)
        self.step = 0
        """Steps done in this phase."""
        self.images_seen = 0
        """Real images shown over the life of the generator."""
        self.learning_rate = generator.learning_rate
        """Of both players; lowered where training went wrong."""
        self._optimizer_states: list[OptimizerState] = []

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Adam for the generator and for the discriminator, in the state a snapshot left them in."""
        rate, betas = self.learning_rate, (float(self.loss.beta1), float(self.loss.beta2))
        optimizers: list[torch.optim.Optimizer] = [
            torch.optim.Adam(network.parameters(), lr=rate, betas=betas, fused=True)
            for network in (self.generator, self.discriminator)
        ]
        if self._optimizer_states:
            for optimizer, state in zip(optimizers, self._optimizer_states, strict=True):
                optimizer.load_state_dict(state)
                for group in optimizer.param_groups:
                    group.update(lr=rate, betas=betas)
        return optimizers

    def training_step(self, tick: int) -> None:
        """One step of both players."""
        of_generator, of_discriminator = cast(list[LightningOptimizer], self.optimizers())
        rng = torch.Generator(self.device).manual_seed(derive_seed(self.seed, "step", self.step))

        # 1. Reals and fakes, down the same path.
        drawn = torch.randint(len(self.reals), (self.batch,), generator=rng, device=self.device)
        reals = self.evidence(to_float(self.reals[drawn]))
        z = torch.randn(self.batch, self.generator.z_dim, generator=rng, device=self.device)
        fakes = self.evidence(self.generator.draw(z, rng).float())

        # 2. The discriminator learns to tell them apart, through its augmentations.
        critic = self.augmenter.before(self.discriminator, rng)
        told_apart = self.loss.of_discriminator(critic, reals, fakes.detach(), self.step)
        self._descend(of_discriminator, told_apart.adversarial + told_apart.penalty)
        self.augmenter.observe(told_apart.overfitting, self.step, self.batch)

        # 3. The generator learns from the discriminator, and from what the detectors tell.
        self.discriminator.requires_grad_(False)  # no gradient of its weights is wanted here
        adversarial = self.loss.of_generator(critic, reals, fakes)
        detector_loss = adversarial.new_zeros(()) if self.detector_loss is None else self.detector_loss(fakes, rng)
        paths = adversarial.new_zeros(())
        if self.path_length.weight and self.step % self.path_length.interval == 0:
            paths = self.path_length(cast(StyleGenerator, self.generator), z, rng)
        self._descend(of_generator, adversarial + detector_loss + paths)
        self.discriminator.requires_grad_(True)

        # 4. The average follows.
        self.step += 1
        self.images_seen += self.batch
        update(self.ema, self.generator, decay(self.batch, self.images_seen, self.loss.ema_images, self.loss.ema_ramp))
        if self.step % self.log_every == 0:
            self._log(told_apart, adversarial.detach(), detector_loss.detach())

    def _descend(self, optimizer: LightningOptimizer, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def _log(self, told_apart: DiscriminatorLoss, adversarial: Tensor, detector_loss: Tensor) -> None:
        """Log a step's losses.

        Raises:
            DivergedError: where they are no longer finite.
        """
        losses = {f"gan/discriminator_{name}": value.detach() for name, value in told_apart._asdict().items()}
        losses |= {"gan/generator_adversarial": adversarial, "gan/generator_detector_loss": detector_loss}
        losses |= {"gan/augmentation": self.augmenter.probability.clone()}
        if not torch.stack(list(losses.values())).isfinite().all():
            raise DivergedError(f"a loss was not finite by step {self.step}")
        losses["images"] = torch.tensor(float(self.step * self.batch))  # the axis of the phase's curves
        self.log_dict(losses, batch_size=self.batch)

    def save(self, folder: Path) -> None:
        """Write all that training goes on from; each file whole or not at all.

        ``generator.safetensors`` is the average, which forges; ``gan.safetensors`` generator and discriminator as they
        stand, with the state of augmentation and path length; ``optimizers.pt`` Adam's moments, and counts.
        """
        states = {part: getattr(self, part).state_dict() for part in _PARTS}
        flat = {f"{part}.{name}": value for part, state in states.items() for name, value in state.items()}
        if self._trainer is not None:
            self._optimizer_states = [
                cast(OptimizerState, optimizer.state_dict()) for optimizer in self.trainer.optimizers
            ]
        counts = Counts(step=self.step, images_seen=self.images_seen, learning_rate=self.learning_rate)
        buffer = BytesIO()
        torch.save({"optimizers": self._optimizer_states, "counts": counts}, buffer)
        write_atomically(folder / "generator.safetensors", _serialised(self.ema.state_dict()))
        write_atomically(folder / "gan.safetensors", _serialised(flat))
        write_atomically(folder / "optimizers.pt", buffer.getvalue())

    def load(self, folder: Path) -> None:
        """Go on from what ``save`` wrote; call it before ``fit``, and set ``step`` to 0 where a new phase begins.

        Raises:
            ArenaError: where the folder holds weights of another network, or none.
        """
        try:
            for part in _PARTS:
                getattr(self, part).load_state_dict(saved_part(folder, part))
            self.augmenter.restore_fixed()
            self.ema.load_state_dict(safetensors.torch.load_file(folder / "generator.safetensors"))
            training = torch.load(folder / "optimizers.pt", map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, safetensors.SafetensorError) as error:
            reason = first_line(error)
            raise ArenaError(f"{folder}: expected a saved GAN of the configured sizes ({reason})") from error
        self.trainer = None  # its optimizers hold what was before
        self._optimizer_states = training["optimizers"]
        counts: Counts = training["counts"]
        self.step, self.images_seen, self.learning_rate = (
            counts["step"],
            counts["images_seen"],
            counts["learning_rate"],
        )


def saved_part(folder: Path, part: str) -> dict[str, Tensor]:
    """The state of one part of a saved GAN, such as its discriminator."""
    raw = safetensors.torch.load_file(folder / "gan.safetensors")
    return {name.removeprefix(f"{part}."): raw[name] for name in raw if name.startswith(f"{part}.")}


_PARTS = ("generator", "discriminator", "augmenter", "path_length")
"""What is saved beside the average."""


def _store_channels_last(*networks: nn.Module) -> None:
    """Store kernels in the layout oneDNN and cuDNN convolve fastest; activations follow them."""
    for network in networks:
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def _serialised(state: dict[str, Tensor]) -> bytes:
    return safetensors.torch.save({name: value.contiguous() for name, value in state.items()})
