"""Project photographs into a style generator and mix them."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.core.seeding import derive_seed
from arena.data.files import decode_all
from arena.figures.axes import save
from arena.figures.mixing import mixed_photographs
from arena.generators.mixing import mix, wide
from arena.generators.style import LEVELS, StyleGenerator
from arena.imaging.images import to_float, to_uint8

DRAWN = 10_000
"""Points of W its mean and deviation are taken from."""
RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25
"""Adam's largest learning rate, and the shares of the steps it rises and falls for."""
SHAKE, SHAKEN = 0.05, 0.75
"""Noise on w in deviations of W at the first step, and the share of the steps until it has died away."""
PRIOR = 0.05
"""Weight of the mean square, in deviations of W, by which w strays from the mean of W, and a W+ code from w."""
SMALLEST = 4


@dataclass(frozen=True)
class Projection:
    """Codes found for B images.

    Args:
        code: w (B, z_dim) or W+ (B, n_styles, z_dim).
        distance: (B,) ``pyramid_distance`` of their images to those asked for.
        strayed: (B,) root mean square, in deviations of W, from where the search began: from the mean of W, about 1 for
            a w that the mapping network makes, or from the w that a W+ code was searched for from.
    """

    code: Tensor
    distance: Tensor
    strayed: Tensor


def pyramid_distance(images: Tensor, targets: Tensor) -> Tensor:
    """Mean squared difference, plus the mean absolute difference of every level of the Laplacian pyramids.

    The pyramid (Burt & Adelson 1983) compares large shapes apart from detail, and needs no network trained on something
    else; Bojanowski, Joulin, Lopez-Paz & Szlam (2018) fit generators to images by it.

    Args:
        images: (B, C, H, W) in [-1, 1], H a power of two.
        targets: the same.

    Returns:
        (B,)
    """
    rest = images - targets  # the pyramid is linear: that of the difference is the difference of the two
    found = rest.square().mean((1, 2, 3))
    while rest.shape[-1] > SMALLEST:
        coarse = F.avg_pool2d(rest, 2)
        fine = rest - F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        found = found + fine.abs().mean((1, 2, 3))
        rest = coarse
    return found + rest.abs().mean((1, 2, 3))


class Projector:
    """Looks for the codes whose images, with frozen noise inputs, come nearest to given ones.

    Of the article's projector it leaves out optimised noise inputs, which would hide in noise what the codes cannot say
    and mixing would not move, and VGG features, which know photographs of 256 pixels. It adds a prior in the whitened
    space of W (Zhu, Abdal, Qin, Femiani & Wonka 2020), without which codes are found that reconstruct and do not mix.

    Args:
        generator: in eval mode, without gradients of its own.
        steps: of each search.
        seed: of the noise on w and of the points W is measured by.
    """

    def __init__(self, generator: StyleGenerator, steps: int, seed: int) -> None:
        self.generator, self.steps, self.seed = generator, steps, seed
        rng = torch.Generator().manual_seed(derive_seed(seed, "project", player="w"))
        w = generator.mapping(torch.randn(DRAWN, generator.z_dim, generator=rng))
        self.mean = w.mean(0)
        """(z_dim,) of W."""
        variances, directions = torch.linalg.eigh((w - self.mean).T.cov())
        self.deviation = (directions * variances.clamp(min=0).sqrt()) @ directions.T
        """(z_dim, z_dim) the symmetric root of the covariance of W: unit steps to deviations of W."""

    def w(self, targets: Tensor) -> Projection:
        """Codes (B, z_dim) of images (B, C, H, W) in [-1, 1], searched for from the mean of W.

        Images do not hear of each other: any of them alone finds the same but for rounding.
        """
        shake = SHAKE * math.sqrt(self.generator.z_dim)
        return self._descend(self.mean.expand(len(targets), -1), targets, shake)

    def w_plus(self, targets: Tensor, found: Projection) -> Projection:
        """Codes (B, n_styles, z_dim), searched for from those found in W and held near them; never farther away."""
        return self._descend(wide(found.code, self.generator.n_styles), targets, shake=0.0)

    def distance(self, code: Tensor, targets: Tensor) -> Tensor:
        """(B,) of the codes' images to the targets."""
        return pyramid_distance(self.generator.images_of(code, "frozen"), targets)

    def _descend(self, start: Tensor, targets: Tensor, shake: float) -> Projection:
        """Adam from ``start`` in deviations of W; of each image the best undisturbed code is kept."""
        rng = torch.Generator().manual_seed(derive_seed(self.seed, "project", player="shake"))
        offset = torch.zeros_like(start).requires_grad_()
        optimiser = torch.optim.Adam([offset], betas=(0.9, 0.999))
        lowest, kept = torch.full((len(start),), torch.inf), torch.zeros_like(start)
        for step in range(self.steps + 1):
            done = step / self.steps
            amount = shake * max(0.0, 1 - done / SHAKEN) ** 2
            noise = amount * torch.randn(start.shape[1:], generator=rng)  # the same for every image
            code = start + (offset + noise) @ self.deviation
            loss = self.distance(code, targets) + PRIOR * offset.square().flatten(1).mean(1)
            if amount == 0:
                better = loss.detach() < lowest
                lowest = torch.where(better, loss.detach(), lowest)
                kept[better] = offset.detach()[better]
            if step == self.steps:
                break
            optimiser.param_groups[0]["lr"] = RATE * _ramp(done)
            optimiser.zero_grad()
            loss.sum().backward()
            optimiser.step()
        with torch.no_grad():
            code = start + kept @ self.deviation
            return Projection(code, self.distance(code, targets), kept.square().flatten(1).mean(1).sqrt())


def _ramp(done: float) -> float:
    """The learning rate's share at a share of the steps: a linear rise, a cosine's fall (StyleGAN2, appendix D)."""
    fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / RAMP_DOWN))
    return fall * min(1.0, done / RAMP_UP)


Space = Literal["w", "w+"]


def read_photographs(files: Sequence[Path], resolution: int, channels: int) -> Tensor:
    """Their middle squares as ``data=folder`` would read them: uint8 (N, C, H, W).

    Raises:
        ArenaError: naming a file that is no image.
    """
    decoding = decode_all(files, resolution, channels)
    for place, reason in decoding.failures.items():
        found = reason if files[place].is_file() else "no such file"
        raise ArenaError(f"{files[place]}: expected an image ({found})")
    return decoding.images


def mix_photographs(
    generator: StyleGenerator,
    files: tuple[Path, Path],
    out: Path,
    *,
    round_index: int,
    space: Space,
    steps: int,
    seed: int,
) -> list[Path]:
    """Project two photographs into W and W+, mix them at every level both ways, and draw it.

    Args:
        generator: in eval mode, without gradients of its own.
        files: the photographs.
        out: folder that gets the picture (PNG and PDF) and its distances (JSON).
        round_index: whose generator it is, to write down.
        space: whose codes are mixed. W mixes more cleanly, W+ is more like the photographs.
        steps: of the search in each space.
        seed: of the search.

    Returns:
        The files written.

    Raises:
        ArenaError: naming a file that is no image.
    """
    photographs = read_photographs(files, generator.resolution, generator.channels)
    targets = to_float(photographs)
    projector = Projector(generator, steps, seed)
    in_w = projector.w(targets)
    in_w_plus = projector.w_plus(targets, in_w)
    codes = wide((in_w if space == "w" else in_w_plus).code, generator.n_styles)
    with torch.no_grad():
        others, layers = codes.flip(0), generator.style_levels
        mixed = [generator.images_of(mix(others, codes, layers[level]), "frozen") for level in LEVELS]
        rebuilt = [generator.images_of(found.code, "frozen") for found in (in_w, in_w_plus)]
        shown = torch.stack([photographs, *map(to_uint8, [*rebuilt, *mixed])], 1).numpy()
    found = _distances(projector, targets, in_w, in_w_plus)
    named = [{"file": file.name} | its for file, its in zip(files, found, strict=True)]
    facts = {"round": round_index, "space": space, "steps": steps, "seed": seed, "photographs": named}
    stem = out / f"{files[0].stem}_{files[1].stem}"
    rows = [(file.name, images) for file, images in zip(files, shown, strict=True)]
    written = save(mixed_photographs(rows, space.upper()), stem)
    written.append(stem.with_name(f"{stem.name}.json"))
    write_atomically(written[-1], (json.dumps(facts, indent=2) + "\n").encode())
    return written


def _distances(projector: Projector, targets: Tensor, w: Projection, w_plus: Projection) -> list[dict[str, float]]:
    """Of each photograph to the other one, to the image of W's mean and its reconstructions; how far these strayed."""
    mean = projector.mean.expand(len(targets), -1)
    with torch.no_grad():
        columns = {
            "other_photograph": pyramid_distance(targets.flip(0), targets),
            "mean_of_w": projector.distance(mean, targets),
            "w": w.distance,
            "w_plus": w_plus.distance,
            "w_strayed": w.strayed,
            "w_plus_strayed": w_plus.strayed,
        }
    return [{name: round(float(values[k]), 6) for name, values in columns.items()} for k in range(len(targets))]
