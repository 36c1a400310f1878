"""GAN losses with their gradient penalties, and path-length regularisation (Karras et al. 2020)."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require
from arena.generators.layers import image_gradients
from arena.generators.style import StyleGenerator
from arena.training.ada import Critic


class DiscriminatorLoss(NamedTuple):
    """Scalars: the adversarial loss, the weighted penalty (0 where there is none), and, detached, what logits tell.

    ``overfitting`` is r_t = E[sign D(x)] of the reals (Karras et al. 2020, ADA, equation 1), 0 where the discriminator
    is at a loss and 1 where it knows every real; a relativistic one, whose logits have no zero, counts from the middle
    between the classes.
    """

    adversarial: Tensor
    penalty: Tensor
    real_logit: Tensor
    fake_logit: Tensor
    overfitting: Tensor

    @classmethod
    def of(cls, adversarial: Tensor, penalty: Tensor, real: Tensor, fake: Tensor, middle: Tensor) -> Self:
        """From the logits of reals and fakes (B,), and the logit between the classes."""
        real, fake = real.detach(), fake.detach()
        return cls(adversarial, penalty, real.mean(), fake.mean(), (real - middle).sign().mean())


@dataclass(frozen=True, kw_only=True)
class GanLoss(ABC):
    """A GAN's loss, with the settings of the optimisation that are published with it.

    Args:
        beta1: of Adam, for generator and discriminator.
        beta2: of Adam.
        ema_images: half-life of the generator's moving average, in images.
        ema_ramp: the half-life is at most this share of the images seen so far.
        path_length: weight of the path length regularisation of a style generator (2 in StyleGAN2), 0 for none.
        path_length_interval: steps from one such penalty to the next.

    Raises:
        ArenaError: for impossible values.
    """

    beta1: float = 0.0
    beta2: float = 0.99
    ema_images: float = 10_000
    ema_ramp: float = 0.05
    path_length: float = 0.0
    path_length_interval: int = 4

    def __post_init__(self) -> None:
        require(0 <= self.beta1 < 1, "loss.beta1", self.beta1, "a share in [0, 1)")
        require(0 <= self.beta2 < 1, "loss.beta2", self.beta2, "a share in [0, 1)")
        require(self.ema_images > 0, "loss.ema_images", self.ema_images, "above 0")
        require(self.ema_ramp > 0, "loss.ema_ramp", self.ema_ramp, "above 0")
        require(self.path_length >= 0, "loss.path_length", self.path_length, "0 or more")
        interval = self.path_length_interval
        require(interval >= 1, "loss.path_length_interval", interval, "1 or more steps")

    @abstractmethod
    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """Of reals and fakes (B, C, H, W), both down the evidence path, at the step of that number."""

    @abstractmethod
    def of_generator(self, discriminator: Critic, reals: Tensor, fakes: Tensor) -> Tensor:
        """Scalar, with a gradient towards ``fakes``."""


@dataclass(frozen=True, kw_only=True)
class PenalisedLoss(GanLoss):
    """A loss with gradient penalties.

    Args:
        gamma: their weight; None for the loss's own rule.
    """

    gamma: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.gamma is None or self.gamma >= 0, "loss.gamma", self.gamma, "0 or more, or null for the rule")


def squared_gradient(discriminator: Critic, images: Tensor) -> tuple[Tensor, Tensor]:
    """Logits (B,) and ||grad_x D(x)||^2 (B,), the latter summed in fp32 over channels and pixels, differentiable."""
    images = images.detach().requires_grad_()
    with image_gradients():
        logits = discriminator(images)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return logits, gradient.float().square().sum((1, 2, 3))


@dataclass(frozen=True, kw_only=True)
class Relativistic(PenalisedLoss):
    """Relativistic pairing with R1 and R2 at every step (R3GAN, Huang et al. 2024, equations 2 and 4).

    D: mean softplus(D(G(z)) - D(x)) + gamma/2 (||grad D(x)||^2 + ||grad D(G(z))||^2);
    G: mean softplus(D(x) - D(G(z))).
    Without a ``gamma`` it is 0.5 (resolution / 32)^2, through the paper's ImageNet-32 (0.5) and FFHQ-64 (2).
    """

    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """Every real is paired with the fake of the same place in the batch; one pass for both."""
        gamma = 0.5 * (reals.shape[-1] / 32) ** 2 if self.gamma is None else self.gamma
        logits, squared = squared_gradient(discriminator, torch.cat([reals, fakes]))
        real, fake = logits.chunk(2)
        penalty = gamma / 2 * squared.sum() / len(reals)
        middle = logits.detach().mean()
        return DiscriminatorLoss.of(F.softplus(fake - real).mean(), penalty, real, fake, middle)

    def of_generator(self, discriminator: Critic, reals: Tensor, fakes: Tensor) -> Tensor:
        """The same pairs, the other way round."""
        with torch.no_grad():  # the reals' logits are constants to the generator
            real = discriminator(reals)
        return F.softplus(real - discriminator(fakes)).mean()


@dataclass(frozen=True, kw_only=True)
class NonSaturating(GanLoss):
    """The loss of the first GANs (Goodfellow et al. 2014, section 3), without any penalty.

    D: mean softplus(D(G(z))) + mean softplus(-D(x)), reals and fakes in batches of their own, as batch normalisation in
    the discriminator of a DCGAN wants them (Radford et al. 2016); G: mean softplus(-D(G(z))).
    """

    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """No penalty at any step."""
        real, fake = discriminator(reals), discriminator(fakes)
        adversarial = F.softplus(fake).mean() + F.softplus(-real).mean()
        nothing = real.new_zeros(())
        return DiscriminatorLoss.of(adversarial, nothing, real, fake, nothing)

    def of_generator(self, discriminator: Critic, reals: Tensor, fakes: Tensor) -> Tensor:
        """Non-saturating; the reals play no part."""
        return F.softplus(-discriminator(fakes)).mean()


@dataclass(frozen=True, kw_only=True)
class Logistic(PenalisedLoss, NonSaturating):
    """Non-saturating logistic loss (Goodfellow et al. 2014) with lazy R1 (Mescheder et al. 2018; Karras et al. 2020).

    D: mean softplus(D(G(z))) + mean softplus(-D(x)), and every ``interval`` steps interval gamma/2 ||grad D(x)||^2;
    G: mean softplus(-D(G(z))).
    Without a ``gamma`` it is 0.0002 resolution^2 / batch, the rule of StyleGAN2-ADA (Karras et al. 2020, appendix C).

    Args:
        interval: steps from one penalty to the next.
    """

    interval: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.interval >= 1, "loss.interval", self.interval, "1 or more steps")

    def of_discriminator(self, discriminator: Critic, reals: Tensor, fakes: Tensor, step: int) -> DiscriminatorLoss:
        """R1 at steps 0, interval, 2 interval, ..., scaled by the interval so that its mean is that of every step.

        It shares its step with the loss, so Adam's rates need none of the correction a step of its own would.
        """
        if step % self.interval == 0:
            gamma = 2e-4 * reals.shape[-1] ** 2 / len(reals) if self.gamma is None else self.gamma
            real, squared = squared_gradient(discriminator, reals)
            penalty = self.interval * gamma / 2 * squared.mean()
            fake = discriminator(fakes)
        else:
            real, fake = discriminator(torch.cat([reals, fakes])).chunk(2)
            penalty = real.new_zeros(())
        adversarial = F.softplus(fake).mean() + F.softplus(-real).mean()
        return DiscriminatorLoss.of(adversarial, penalty, real, fake, adversarial.new_zeros(()))


DECAY = 0.01
SHRINK = 2


class PathLength(nn.Module):
    """The penalty E(|J_w^T y| - a)^2 of Karras et al. 2020, equation 4, with y normal images and a its running mean.

    Args:
        weight: of the penalty (2 in the paper's code), per step.
        interval: steps from one penalty to the next (4 in the paper), by which it is multiplied.
    """

    mean: Tensor

    def __init__(self, weight: float, interval: int) -> None:
        super().__init__()
        self.weight, self.interval = weight, interval
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, generator: StyleGenerator, z: Tensor, rng: torch.Generator) -> Tensor:
        """The weighted penalty, a scalar, differentiable to the weights; half of z (B, z_dim) will do."""
        w = generator.mapping(z[: max(1, len(z) // SHRINK)])
        code = w[:, None].expand(-1, generator.n_styles, -1)
        lengths = path_lengths(code, generator.images_of(code, rng).float(), rng)
        with torch.no_grad():
            self.mean.lerp_(lengths.mean(), DECAY)
        return self.interval * self.weight * (lengths - self.mean).square().mean()


def check_paths(weight: float, generator: nn.Module) -> None:
    """Raise ``ArenaError`` where a path length is asked of a generator that has no w."""
    possible = weight == 0 or isinstance(generator, StyleGenerator)
    require(possible, "loss.path_length", weight, "0, since only generator=style has paths")


def path_lengths(code: Tensor, images: Tensor, rng: torch.Generator) -> Tensor:
    """|J^T y| of each image (B,), root mean square over the layers of a W+ code (B, L, z_dim); differentiable.

    Args:
        code: what ``images`` were made from.
        images: float (B, C, H, W).
        rng: of y, normal and scaled so that |y|^2 of one channel is 1 in expectation.
    """
    y = torch.randn(images.shape, generator=rng, device=images.device) / images[0, 0].numel() ** 0.5
    (gradient,) = torch.autograd.grad((images * y).sum(), code, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()
