"""Augment the images of the discriminator, adaptively where asked (ADA, Karras et al. 2020)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require

# Deviations and ranges of the paper's appendix B.
INTEGER_SHIFT, FRACTIONAL_SHIFT = 0.125, 0.125
LOG2_SCALE, LOG2_ANISOTROPY = 0.2, 0.2
BRIGHTNESS, LOG2_CONTRAST, LOG2_SATURATION = 0.2, 0.5, 1.0
LUMA = 3**-0.5


def augment(images: Tensor, p: Tensor, rng: torch.Generator) -> Tensor:
    """Every transformation on every image with probability ``p``.

    Args:
        images: float (B, C, H, W), C 1 or 3; differentiable twice.
        p: scalar tensor in [0, 1]; never read by the host.
        rng: of what is drawn, on the images' device.
    """
    chance = _Chance(len(images), p, rng)
    with torch.autocast(images.device.type, enabled=False):  # bf16 holds neither a matrix nor half a grey level
        images = _warp(images.float(), _geometry(chance, images.shape[-1]))
        return _colour(images, chance)


class _Chance:
    """Draws for B images: a value where chance has it, a neutral one elsewhere."""

    def __init__(self, n: int, p: Tensor, rng: torch.Generator) -> None:
        self.n, self.p, self.rng, self.device = n, p, rng, rng.device

    def __call__(self, value: Tensor, neutral: float, p: Tensor | None = None) -> Tensor:
        """(B,) of ``value`` with probability ``p``, else ``neutral``."""
        return torch.where(self.uniform() < (self.p if p is None else p), value, neutral)

    def uniform(self) -> Tensor:
        return torch.rand(self.n, generator=self.rng, device=self.device)

    def normal(self) -> Tensor:
        return torch.randn(self.n, generator=self.rng, device=self.device)


def _geometry(chance: _Chance, side: int) -> Tensor:
    """(B, 2, 3): where in the image each pixel of the result is looked up, in coordinates from -1 to 1."""
    matrix = _linear(1 - 2 * chance((2 * chance.uniform()).floor(), 0.0), torch.ones(chance.n, device=chance.device))
    matrix = matrix @ _rotation(math.pi / 2 * chance((4 * chance.uniform()).floor(), 0.0))
    whole = [((2 * chance.uniform() - 1) * INTEGER_SHIFT * side).round() * 2 / side for _ in range(2)]
    happens = chance(torch.ones(chance.n, device=chance.device), 0.0)
    shift = torch.stack(whole, 1) * happens[:, None]
    scale = torch.exp2(chance(LOG2_SCALE * chance.normal(), 0.0))
    matrix = matrix @ _linear(1 / scale, 1 / scale)
    # Twice, with probabilities such that at least one happens with p.
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


def _colour(images: Tensor, chance: _Chance) -> Tensor:
    """One affine map of each image's colours; of grey images brightness, contrast and the flip are left of it."""
    shift = chance(BRIGHTNESS * chance.normal(), 0.0)
    gain = torch.exp2(chance(LOG2_CONTRAST * chance.normal(), 0.0))
    flip = chance((2 * chance.uniform()).floor(), 0.0)
    hue = chance(math.pi * (2 * chance.uniform() - 1), 0.0)
    saturation = torch.exp2(chance(LOG2_SATURATION * chance.normal(), 0.0))
    if images.shape[1] == 1:
        return (images + shift[:, None, None, None]) * (gain * (1 - 2 * flip))[:, None, None, None]
    grey = torch.full((3, 3), LUMA**2, device=images.device)
    unit = torch.eye(3, device=images.device)
    # The rotation by an angle about the grey axis (Rodrigues), then what is off the axis stretched, the rest mirrored.
    cross = LUMA * (unit.roll(1, 0) - unit.roll(-1, 0))
    cosine, sine = hue.cos()[:, None, None], hue.sin()[:, None, None]
    turned = cosine * (unit - grey) + sine * cross
    matrix = (1 - 2 * flip)[:, None, None] * grey + saturation[:, None, None] * turned
    matrix = gain[:, None, None] * matrix
    moved = images + shift[:, None, None, None]
    return sum(
        (matrix[:, :, c, None, None] * moved[:, c : c + 1] for c in range(1, 3)),
        matrix[:, :, 0, None, None] * moved[:, :1],
    )


class _Warp(torch.autograd.Function):
    """Bilinear look-up, linear in the image: its gradient is its adjoint, whose gradient is itself again.

    torch knows the first derivative only, and a gradient penalty wants the second.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        return F.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _Adjoint.apply(gradient[0], grid), None  # type: ignore[return-value]


class _Adjoint(torch.autograd.Function):
    """What the warp's look-ups were made of, added up where it was looked."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        bilinear, reflection = 0, 2
        onto = torch.ops.aten.grid_sampler_2d_backward(
            gradient, gradient, grid, bilinear, reflection, False, (True, False)
        )
        return onto[0]

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return _Warp.apply(gradient[0], grid), None  # type: ignore[return-value]


def _warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Images (B, C, H, W) looked up where the matrices (B, 2, 3) say; what lies outside is mirrored at the edge."""
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    return _Warp.apply(images, grid)  # type: ignore[no-any-return]


LARGEST = 0.8
"""Beyond it augmentations begin to leak into the fakes (Karras et al. 2020, ADA, section 2.2)."""

Critic = Callable[[Tensor], Tensor]
"""Images (B, C, H, W) to logits (B,), higher means more real."""


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Adaptive discriminator augmentation (Karras et al. 2020, ADA, section 3.1), and its plainer relatives.

    Args:
        probability: of each transformation of each image, at the start.
        target: of the over-fitting heuristic r_t = E[sign D(real)], 0.6 in the paper, which ``probability`` then
            follows; None keeps it as it is.
        images: over which an adapting probability may go from 0 to 1 (500,000 in the paper).
        interval: steps from one adjustment to the next.

    Raises:
        ArenaError: for impossible values.
    """

    probability: float = 0.0
    target: float | None = None
    images: float = 500_000
    interval: int = 4

    def __post_init__(self) -> None:
        key = "augmentation.probability"
        require(0 <= self.probability <= LARGEST, key, self.probability, f"0 to {LARGEST}: more leaks into the fakes")
        possible = self.target is None or -1 < self.target < 1
        require(possible, "augmentation.target", self.target, "between -1 and 1, or null to keep the probability")
        require(self.images > 0, "augmentation.images", self.images, "above 0")
        require(self.interval >= 1, "augmentation.interval", self.interval, "1 or more steps")

    @property
    def off(self) -> bool:
        """Whether no image is ever augmented."""
        return self.target is None and self.probability == 0


class Augmenter(nn.Module):
    """The state of an augmentation over a GAN's life: its probability, and the over-fitting seen since it last moved.

    Args:
        policy: what moves it.
    """

    probability: Tensor
    overfitting: Tensor

    def __init__(self, policy: Augmentation) -> None:
        super().__init__()
        self.policy = policy
        self.register_buffer("probability", torch.tensor(float(policy.probability)))
        self.register_buffer("overfitting", torch.zeros(()))

    def before(self, critic: Critic, rng: torch.Generator) -> Critic:
        """The critic with its images augmented, each time anew."""
        if self.policy.off:
            return critic
        return lambda images: critic(augment(images, self.probability, rng))

    def restore_fixed(self) -> None:
        """Where nothing moves the probability it is the policy's, whatever a snapshot of another policy brought."""
        if self.policy.target is None:
            self.probability.fill_(self.policy.probability)

    @torch.no_grad()
    def observe(self, overfitting: Tensor, step: int, batch: int) -> None:
        """Follow a step's r_t; every ``interval`` steps the probability moves by sign(r_t - target)."""
        if self.policy.target is None:
            return
        if step % self.policy.interval == 0:  # not where it ends: a phase may begin, or go on, at any step
            self.overfitting.zero_()
        self.overfitting += overfitting / self.policy.interval
        if (step + 1) % self.policy.interval == 0:
            move = batch * self.policy.interval / self.policy.images
            self.probability += move * (self.overfitting - self.policy.target).sign()
            self.probability.clamp_(0, LARGEST)
