"""Path length regularisation: a step in w should move the image by as much everywhere (StyleGAN2, section 3.2)."""

import torch
from torch import Tensor, nn

from arena.config import require
from arena.generators.style import StyleGenerator

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
