"""GAN losses with their gradient penalties, and path length regularisation (Karras et al. 2020)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.generators.layers import image_gradients
from arena.generators.style import StyleGenerator
from arena.training.ada import Critic

DECAY = 0.01
"""Weight of a step in the running mean of path lengths."""

Beta = Annotated[float, Field(ge=0, lt=1)]
"""Decay rate of one of Adam's averages."""


class DiscriminatorLoss(NamedTuple):
    """Scalars: the adversarial loss, the weighted penalty (0 if there is none), and statistics of the logits, detached.

    ``overfitting`` is r_t = E[sign D(x)] of the reals (Karras et al. 2020, ADA, equation 1): 0 without overfitting, 1
    if every real is recognised. The logits of a relativistic discriminator have no zero, so the middle of all logits
    takes its place.
    """

    adversarial: Tensor
    penalty: Tensor
    real_logit: Tensor
    fake_logit: Tensor
    overfitting: Tensor

    @classmethod
    def of(cls, adversarial: Tensor, penalty: Tensor, real: Tensor, fake: Tensor, middle: Tensor) -> Self:
        """Build it from the logits of reals and fakes (B,), and the logit between the classes."""
        real, fake = real.detach(), fake.detach()
        return cls(adversarial, penalty, real.mean(), fake.mean(), (real - middle).sign().mean())


@dataclass(frozen=True, kw_only=True)
class GanLoss(ABC):
    """Loss of a GAN, with the optimiser settings that were published with it.

    Args:
        beta1: of Adam, for generator and discriminator.
        beta2: of Adam.
        ema_images: half-life of the generator's moving average, in images.
        ema_ramp: upper limit of the half-life, as a share of the images seen so far.
        path_length: weight of the path length regularisation of a style generator (2 in StyleGAN2), 0 for none.
        path_length_interval: steps between path length penalties.
    """

    beta1: Beta = 0.0
    beta2: Beta = 0.99
    ema_images: PositiveFloat = 10_000
    ema_ramp: PositiveFloat = 0.05
    path_length: NonNegativeFloat = 0.0
    path_length_interval: PositiveInt = 4

    def penalises(self, step: int) -> bool:
        """Return whether the gradient penalty is part of a step, if the loss has one."""
        return True

    @abstractmethod
    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """Return the loss of the discriminator at a step. Reals and fakes (B, C, H, W) are from the evidence path."""

    @abstractmethod
    def of_generator(self, discriminator: Critic, reals: Tensor, fakes: Tensor) -> Tensor:
        """Return the loss of the generator, a scalar with a gradient towards ``fakes``."""


@dataclass(frozen=True, kw_only=True)
class PenalisedLoss(GanLoss):
    """Loss with gradient penalties.

    Args:
        gamma: weight of the penalties; None for the loss's own rule.
    """

    gamma: NonNegativeFloat | None = None


def squared_gradient(discriminator: Critic, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits (B,) of images (B, ...) and ||grad_x D(x)||^2 (B,), the latter in fp32. Both are differentiable."""
    images = images.detach().requires_grad_()
    with image_gradients():
        logits = discriminator(images)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return logits, gradient.float().flatten(1).square().sum(1)


@dataclass(frozen=True, kw_only=True)
class Relativistic(PenalisedLoss):
    """Relativistic pairing with R1 and R2 at every step (R3GAN, Huang et al. 2024, equations 2 and 4).

    D: mean softplus(D(G(z)) - D(x)) + gamma/2 (||grad D(x)||^2 + ||grad D(G(z))||^2);
    G: mean softplus(D(x) - D(G(z))).
    The default ``gamma`` is 0.5 (resolution / 32)^2, as in the paper for ImageNet-32 (0.5) and FFHQ-64 (2).
    """

    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """Pair every real with the fake at the same place in the batch, in one pass for both."""
        gamma = 0.5 * (reals.shape[-1] / 32) ** 2 if self.gamma is None else self.gamma
        logits, squared = squared_gradient(discriminator, torch.cat([reals, fakes]))
        real, fake = logits.chunk(2)
        penalty = gamma / 2 * squared.sum() / len(reals)
        middle = logits.detach().mean()
        return DiscriminatorLoss.of(F.softplus(fake - real).mean(), penalty, real, fake, middle)

    def of_generator(self, discriminator: Critic, reals: Tensor, fakes: Tensor) -> Tensor:
        """Use the same pairs with opposite sign."""
        with torch.no_grad():  # constant with respect to the generator
            real = discriminator(reals)
        return F.softplus(real - discriminator(fakes)).mean()


@dataclass(frozen=True, kw_only=True)
class NonSaturating(GanLoss):
    """The loss of the first GANs (Goodfellow et al. 2014, section 3), without any penalty.

    D: mean softplus(D(G(z))) + mean softplus(-D(x)); G: mean softplus(-D(G(z))).
    Reals and fakes are in separate batches, as batch normalisation in a DCGAN needs (Radford et al. 2016).
    """

    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """Return the loss without a penalty."""
        real, fake = discriminator(reals), discriminator(fakes)
        adversarial = F.softplus(fake).mean() + F.softplus(-real).mean()
        zero = real.new_zeros(())
        return DiscriminatorLoss.of(adversarial, zero, real, fake, zero)

    def of_generator(self, discriminator: Critic, reals: Tensor, fakes: Tensor) -> Tensor:
        """Return the non-saturating loss. The reals do not matter."""
        return F.softplus(-discriminator(fakes)).mean()


@dataclass(frozen=True, kw_only=True)
class Logistic(PenalisedLoss, NonSaturating):
    """Non-saturating logistic loss (Goodfellow et al. 2014) with lazy R1 (Mescheder et al. 2018; Karras et al. 2020).

    D: mean softplus(D(G(z))) + mean softplus(-D(x)), and every ``interval`` steps interval gamma/2 ||grad D(x)||^2;
    G: mean softplus(-D(G(z))).
    The default ``gamma`` is 0.0002 resolution^2 / batch, the rule of StyleGAN2-ADA (Karras et al. 2020, appendix C).

    Args:
        interval: steps between penalties.
    """

    interval: PositiveInt = 16

    def penalises(self, step: int) -> bool:
        """Return whether a step is one of 0, interval, 2 interval, ..."""
        return step % self.interval == 0

    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """Add R1 at steps 0, interval, 2 interval, ..., multiplied by the interval to keep its mean.

        Penalty and loss share one step, so Adam's rates need no correction for lazy regularisation.
        """
        if self.penalises(step):
            gamma = 2e-4 * reals.shape[-1] ** 2 / len(reals) if self.gamma is None else self.gamma
            real, squared = squared_gradient(discriminator, reals)
            penalty = self.interval * gamma / 2 * squared.mean()
            fake = discriminator(fakes)
        else:
            real, fake = discriminator(torch.cat([reals, fakes])).chunk(2)
            penalty = real.new_zeros(())
        adversarial = F.softplus(fake).mean() + F.softplus(-real).mean()
        return DiscriminatorLoss.of(adversarial, penalty, real, fake, adversarial.new_zeros(()))


class PathLength(nn.Module):
    """Penalty E(|J_w^T y| - a)^2 (Karras et al. 2020, equation 4), with y normal images and a the running mean length.

    Args:
        weight: of the penalty per step (2 in the paper's code).
        interval: steps between penalties (4 in the paper), and a factor of each.
    """

    mean: Tensor

    def __init__(self, weight: float, interval: int) -> None:
        super().__init__()
        self.weight, self.interval = weight, interval
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, generator: StyleGenerator, z: Tensor, rng: torch.Generator) -> Tensor:
        """Return the weighted penalty, differentiable to the weights. It uses half of z (B, z_dim)."""
        code = generator.w_plus(generator.mapping(z[: max(1, len(z) // 2)]))
        lengths = path_lengths(code, generator.images_of(code, rng).float(), rng)
        with torch.no_grad():
            self.mean.lerp_(lengths.mean(), DECAY)
        return self.interval * self.weight * (lengths - self.mean).square().mean()


def path_lengths(code: Tensor, images: Tensor, rng: torch.Generator) -> Tensor:
    """Return |J^T y| of each image (B,), root mean square over the layers of a W+ code (B, L, z_dim). Differentiable.

    Args:
        code: that ``images`` were made from.
        images: float (B, C, H, W).
        rng: of y, normal and scaled so that |y|^2 of one channel is 1 in expectation.
    """
    y = torch.randn(images.shape, generator=rng, device=images.device) / images[0, 0].numel() ** 0.5
    (gradient,) = torch.autograd.grad((images * y).sum(), code, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()
