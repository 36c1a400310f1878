"""Discriminator augmentation, fixed or adaptive (ADA, Karras et al. 2020)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

LARGEST = 0.8
"""Above this probability augmentations begin to leak into the fakes (Karras et al. 2020, ADA, section 2.2)."""
# Standard deviations and ranges of the paper's appendix B.
INTEGER_SHIFT, FRACTIONAL_SHIFT = 0.125, 0.125
LOG2_SCALE, LOG2_ANISOTROPY = 0.2, 0.2
BRIGHTNESS, LOG2_CONTRAST, LOG2_SATURATION = 0.2, 0.5, 1.0
LUMA = 3**-0.5

Critic = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to logits (B,), higher for real."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Adaptive discriminator augmentation (Karras et al. 2020, ADA, section 3.1), or augmentation at a fixed rate.

    Args:
        probability: initial probability of each transformation of each image, at most 0.8.
        target: of the overfitting heuristic r_t = E[sign D(real)], 0.6 in the paper. The probability follows it; with
            None it is fixed.
        images: over which an adaptive probability can rise from 0 to 1 (500,000 in the paper).
        interval: steps between adjustments.
    """

    probability: Annotated[float, Field(ge=0, le=LARGEST)] = 0.0
    target: Annotated[float, Field(gt=-1, lt=1)] | None = None
    images: PositiveFloat = 500_000
    interval: PositiveInt = 4


class Augmenter(nn.Module):
    """Augmentation over the life of a GAN: its probability, and the overfitting since the last adjustment."""

    probability: Tensor
    overfitting: Tensor

    def __init__(self, policy: Augmentation) -> None:
        super().__init__()
        self.policy = policy
        self.register_buffer("probability", torch.tensor(float(policy.probability)))
        self.register_buffer("overfitting", torch.zeros(()))

    def before(self, critic: Critic, rng: torch.Generator) -> Critic:
        """Return the critic with its images augmented, independently at each call."""
        if self.policy.target is None and self.policy.probability == 0:
            return critic
        return lambda images: critic(augment(images, self.probability, rng))

    def restore_fixed(self) -> None:
        """Reset a fixed probability to the policy's, in case a snapshot of another policy was loaded."""
        if self.policy.target is None:
            self.probability.fill_(self.policy.probability)

    @torch.no_grad()
    def observe(self, overfitting: Tensor, step: int, batch: int) -> None:
        """Average r_t over ``interval`` steps, then move the probability by sign(r_t - target)."""
        if self.policy.target is None:
            return
        if step % self.policy.interval == 0:  # not at the end of an interval: a phase may start at any step
            self.overfitting.zero_()
        self.overfitting += overfitting / self.policy.interval
        if (step + 1) % self.policy.interval == 0:
            move = batch * self.policy.interval / self.policy.images
            self.probability += move * (self.overfitting - self.policy.target).sign()
            self.probability.clamp_(0, LARGEST)


def augment(images: Tensor, p: Tensor, rng: torch.Generator) -> Tensor:
    """Apply each transformation to each image (B, C, H, W) with probability ``p``; twice differentiable.

    ``p`` is a scalar tensor, never copied to the host. ``rng`` is a stream on the device of the images.
    """
    chance = Chance(len(images), p, rng)
    with torch.autocast(images.device.type, enabled=False):  # bf16 is too coarse for matrices and half grey levels
        images = warp(images.float(), geometry(chance, images.shape[-1]))
        return recolour(images, chance)


class Chance:
    """Random numbers for B images. Calling it selects a value with probability ``p``, and a neutral one otherwise."""

    def __init__(self, n: int, p: Tensor, rng: torch.Generator) -> None:
        self.n, self.p, self.rng, self.device = n, p, rng, rng.device

    def __call__(self, value: Tensor, neutral: float, p: Tensor | None = None) -> Tensor:
        """Return (B,): ``value`` with probability ``p``, otherwise ``neutral``."""
        return torch.where(self.uniform() < (self.p if p is None else p), value, neutral)

    def uniform(self) -> Tensor:
        """Draw (B,) from [0, 1)."""
        return torch.rand(self.n, generator=self.rng, device=self.device)

    def normal(self) -> Tensor:
        """Draw (B,) from N(0, 1)."""
        return torch.randn(self.n, generator=self.rng, device=self.device)


def geometry(chance: Chance, side: int) -> Tensor:
    """Draw affine maps (B, 2, 3) from pixels of the result to places in the image, in coordinates from -1 to 1."""
    matrix = _linear(1 - 2 * chance((2 * chance.uniform()).floor(), 0.0), torch.ones(chance.n, device=chance.device))
    matrix = matrix @ _rotation(math.pi / 2 * chance((4 * chance.uniform()).floor(), 0.0))
    whole = [((2 * chance.uniform() - 1) * INTEGER_SHIFT * side).round() * 2 / side for _ in range(2)]
    happens = chance(torch.ones(chance.n, device=chance.device), 0.0)
    shift = torch.stack(whole, 1) * happens[:, None]
    scale = torch.exp2(chance(LOG2_SCALE * chance.normal(), 0.0))
    matrix = matrix @ _linear(1 / scale, 1 / scale)
    # Two rotations, with probabilities such that at least one happens with probability p.
    each = 1 - (1 - chance.p).sqrt()
    matrix = matrix @ _rotation(chance(math.pi * (2 * chance.uniform() - 1), 0.0, each))
    stretch = torch.exp2(chance(LOG2_ANISOTROPY * chance.normal(), 0.0))
    matrix = matrix @ _linear(1 / stretch, stretch)
    matrix = matrix @ _rotation(chance(math.pi * (2 * chance.uniform() - 1), 0.0, each))
    happens = chance(torch.ones(chance.n, device=chance.device), 0.0)
    fraction = torch.stack([chance.normal(), chance.normal()], 1) * 2 * FRACTIONAL_SHIFT * happens[:, None]
    return torch.cat([matrix, shift[:, :, None] + matrix @ fraction[:, :, None]], dim=2)


def _linear(x: Tensor, y: Tensor) -> Tensor:
    return torch.diag_embed(torch.stack([x, y], 1))


def _rotation(angle: Tensor) -> Tensor:
    cosine, sine = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)


def warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Sample images (B, C, H, W) bilinearly at the places of affine maps (B, 2, 3), mirrored beyond the edge."""
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return _Warp.apply(images, grid)


class _Warp(torch.autograd.Function):
    """Bilinear sampling with derivatives of any order: it is linear in the image, and its gradient is its adjoint.

    torch implements the first derivative only, and gradient penalties need the second.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        return F.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None]:
        return _Adjoint.apply(*gradient, *ctx.saved_tensors), None


class _Adjoint(torch.autograd.Function):
    """Adjoint of the warp: adds each pixel to the places it was sampled from."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        bilinear, reflection = 0, 2
        options = (bilinear, reflection, False, (True, False))  # corners are not aligned; of the images alone
        return torch.ops.aten.grid_sampler_2d_backward(gradient, gradient, grid, *options)[0]

    @staticmethod
    def backward(ctx: Any, *gradient: Tensor) -> tuple[Tensor, None]:
        return _Warp.apply(*gradient, *ctx.saved_tensors), None


def recolour(images: Tensor, chance: Chance) -> Tensor:
    """Apply one affine map to the colours of each image; for grey images brightness, contrast and the flip."""
    shift = chance(BRIGHTNESS * chance.normal(), 0.0)
    gain = torch.exp2(chance(LOG2_CONTRAST * chance.normal(), 0.0))
    flip = chance((2 * chance.uniform()).floor(), 0.0)
    hue = chance(math.pi * (2 * chance.uniform() - 1), 0.0)
    saturation = torch.exp2(chance(LOG2_SATURATION * chance.normal(), 0.0))
    if images.shape[1] == 1:
        return (images + shift[:, None, None, None]) * (gain * (1 - 2 * flip))[:, None, None, None]
    grey = torch.full((3, 3), LUMA**2, device=images.device)
    unit = torch.eye(3, device=images.device)
    # Rotate about the grey axis (Rodrigues), then stretch the part off the axis and mirror the part along it.
    cross = LUMA * (unit.roll(1, 0) - unit.roll(-1, 0))
    cosine, sine = hue.cos()[:, None, None], hue.sin()[:, None, None]
    turned = cosine * (unit - grey) + sine * cross
    matrix = gain[:, None, None] * ((1 - 2 * flip)[:, None, None] * grey + saturation[:, None, None] * turned)
    moved = images + shift[:, None, None, None]
    red, green, blue = (matrix[:, :, c, None, None] * moved[:, c : c + 1] for c in range(3))
    return red + green + blue
