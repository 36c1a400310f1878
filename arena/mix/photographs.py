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

from arena.core.errors import ArenaError, require
from arena.core.files import write_atomically
from arena.core.seeding import derive_seed
from arena.data.decoding import decode_images
from arena.figures.axes import save
from arena.figures.images import mixed_photographs
from arena.generators.mixing import mix
from arena.generators.style import LEVELS, StyleGenerator
from arena.imaging.images import to_float, to_uint8
from arena.mix.generator import load_style_generator

W_SAMPLES = 10_000
"""Samples of w from which the mean and covariance of W are estimated."""
LEARNING_RATE, RAMP_UP, RAMP_DOWN = 0.1, 0.05, 0.25
"""Adam's largest learning rate, and the shares of the steps in which it rises and falls."""
NOISE, NOISE_SHARE = 0.05, 0.75
"""Noise on w at the first step, in standard deviations of W, and the share of the steps after which it is 0."""
PRIOR = 0.05
"""Weight of the prior: the mean squared offset of the code from its start, in standard deviations of W."""
COARSEST = 4
"""Side in pixels of the coarsest level of the Laplacian pyramid."""

Space = Literal["w", "w+"]


def mix_photographs(
    run: Path,
    photographs: Sequence[Path],
    *,
    round_index: int | None = None,
    out: Path | None = None,
    space: Space = "w+",
    steps: int = 1000,
    seed: int = 0,
) -> list[Path]:
    """Project two photographs into W and W+ of a run's generator, mix them at every level both ways, and draw it.

    Args:
        run: directory of a run with a style generator.
        photographs: the files of the two photographs.
        round_index: round whose generator to use; None takes the last one.
        out: folder for the picture (PNG and PDF) and the distances (JSON); None is ``RUN/mixing``.
        space: the codes to mix. W mixes more cleanly, W+ is closer to the photographs.
        steps: optimisation steps in each space.
        seed: seed of the search.

    Returns:
        The files written.
    """
    if len(photographs) != 2:
        raise ArenaError(f"photographs: expected two, found {len(photographs)}")
    require(steps >= 1, "--steps", steps, "at least 1")
    generator, round_index = load_style_generator(run, round_index)
    images = _read(photographs, generator.resolution, generator.channels)
    targets = to_float(images)
    projector = Projector(generator, steps, seed)
    in_w = projector.project_to_w(targets)
    in_w_plus = projector.project_to_w_plus(targets, in_w)
    codes = generator.w_plus((in_w if space == "w" else in_w_plus).code)
    with torch.no_grad():
        others, layers = codes.flip(0), generator.style_levels
        mixed = [generator.images_of(mix(others, codes, layers[level]), "frozen") for level in LEVELS]
        rebuilt = [generator.images_of(projection.code, "frozen") for projection in (in_w, in_w_plus)]
        rows = torch.stack([images, *map(to_uint8, [*rebuilt, *mixed])], 1).numpy()
    distances = _distances(projector, targets, in_w, in_w_plus)
    named = [{"file": file.name} | row for file, row in zip(photographs, distances, strict=True)]
    facts = {"round": round_index, "space": space, "steps": steps, "seed": seed, "photographs": named}
    stem = (run / "mixing" if out is None else out) / f"{photographs[0].stem}_{photographs[1].stem}"
    titled = [(file.name, row) for file, row in zip(photographs, rows, strict=True)]
    written = save(mixed_photographs(titled, space.upper()), stem)
    written.append(stem.with_name(f"{stem.name}.json"))
    write_atomically(written[-1], (json.dumps(facts, indent=2) + "\n").encode())
    return written


def _read(files: Sequence[Path], resolution: int, channels: int) -> Tensor:
    """Read photographs as ``data=folder`` does: uint8 (N, C, H, W) of their middle squares."""
    decoding = decode_images(files, resolution, channels)
    for place, reason in decoding.failures.items():
        detail = reason if files[place].is_file() else "no such file"
        raise ArenaError(f"{files[place]}: expected an image ({detail})")
    return decoding.images


@dataclass(frozen=True)
class Projection:
    """Codes of B images, found by ``Projector``.

    Args:
        code: w (B, z_dim) or W+ (B, n_styles, z_dim).
        distance: (B,) ``pyramid_distance`` of the codes' images to the targets.
        offset: (B,) root mean square distance from the start of the search, in standard deviations of W. The search in
            W starts at the mean of W, so that it is about 1 for a w of the mapping network. The search in W+ starts at
            the w found before.
    """

    code: Tensor
    distance: Tensor
    offset: Tensor


class Projector:
    """Search for the codes whose images, with frozen noise inputs, are closest to given images.

    Two parts of the projector of StyleGAN2 are left out. Optimised noise inputs would hold detail that the codes lack
    and that mixing would not move. VGG features are made for photographs of 256 pixels. A prior in the whitened space
    of W is added (Zhu, Abdal, Qin, Femiani & Wonka 2020): without it codes reconstruct well and mix badly.

    Args:
        generator: in eval mode, without gradients of its own.
        steps: optimisation steps of each search.
        seed: seed of the noise on w and of the samples of W.
    """

    def __init__(self, generator: StyleGenerator, steps: int, seed: int) -> None:
        self.generator, self.steps, self.seed = generator, steps, seed
        rng = torch.Generator().manual_seed(derive_seed(seed, "project", player="w"))
        w = generator.mapping(torch.randn(W_SAMPLES, generator.z_dim, generator=rng))
        self.mean = w.mean(0)
        """(z_dim,) mean of W."""
        variances, directions = torch.linalg.eigh((w - self.mean).T.cov())
        self.deviation = (directions * variances.clamp(min=0).sqrt()) @ directions.T
        """(z_dim, z_dim) symmetric root of the covariance of W."""

    def project_to_w(self, targets: Tensor) -> Projection:
        """Search from the mean of W for codes (B, z_dim) of images (B, C, H, W) in [-1, 1].

        Images are independent: one alone gives the same code up to rounding.
        """
        noise = NOISE * math.sqrt(self.generator.z_dim)
        return self._descend(self.mean.expand(len(targets), -1), targets, noise)

    def project_to_w_plus(self, targets: Tensor, in_w: Projection) -> Projection:
        """Search near the codes found in W for codes (B, n_styles, z_dim), at no larger distance."""
        return self._descend(self.generator.w_plus(in_w.code), targets, noise=0.0)

    def distance(self, code: Tensor, targets: Tensor) -> Tensor:
        """Return the (B,) distances of the codes' images to the targets."""
        return pyramid_distance(self.generator.images_of(code, "frozen"), targets)

    def _descend(self, start: Tensor, targets: Tensor, noise: float) -> Projection:
        """Run Adam on the offset from ``start`` in deviations of W; keep each image's best code without noise."""
        rng = torch.Generator().manual_seed(derive_seed(self.seed, "project", player="shake"))
        offset = torch.zeros_like(start).requires_grad_()
        optimiser = torch.optim.Adam([offset], betas=(0.9, 0.999))
        lowest, best = torch.full((len(start),), torch.inf), torch.zeros_like(start)
        for step in range(self.steps + 1):
            done = step / self.steps
            amount = noise * max(0.0, 1 - done / NOISE_SHARE) ** 2
            jitter = amount * torch.randn(start.shape[1:], generator=rng)  # the same for every image
            code = start + (offset + jitter) @ self.deviation
            loss = self.distance(code, targets) + PRIOR * offset.square().flatten(1).mean(1)
            if amount == 0:
                better = loss.detach() < lowest
                lowest = torch.where(better, loss.detach(), lowest)
                best[better] = offset.detach()[better]
            if step == self.steps:
                break
            # Linear rise, cosine fall (Karras et al. 2020, StyleGAN2, appendix D).
            fall = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - done) / RAMP_DOWN))
            optimiser.param_groups[0]["lr"] = LEARNING_RATE * (fall * min(1.0, done / RAMP_UP))
            optimiser.zero_grad()
            loss.sum().backward()
            optimiser.step()
        with torch.no_grad():
            code = start + best @ self.deviation
            return Projection(code, self.distance(code, targets), best.square().flatten(1).mean(1).sqrt())


def pyramid_distance(images: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared difference plus the mean absolute difference of every level of Laplacian pyramids.

    The pyramid (Burt & Adelson 1983) compares large shapes apart from detail, without a pretrained network. Bojanowski,
    Joulin, Lopez-Paz & Szlam (2018) fit generators to images with it.

    Args:
        images: (B, C, H, W) in [-1, 1], H a power of two.
        targets: the same.

    Returns:
        (B,) distances.
    """
    rest = images - targets  # the pyramid is linear: the pyramid of the difference is the difference of the pyramids
    total = rest.square().mean((1, 2, 3))
    while rest.shape[-1] > COARSEST:
        coarse = F.avg_pool2d(rest, 2)
        fine = rest - F.interpolate(coarse, scale_factor=2, mode="bilinear", align_corners=False)
        total = total + fine.abs().mean((1, 2, 3))
        rest = coarse
    return total + rest.abs().mean((1, 2, 3))


def _distances(projector: Projector, targets: Tensor, w: Projection, w_plus: Projection) -> list[dict[str, float]]:
    """Return, per photograph, its distances to the other one, to the image of the mean w and to its projections."""
    mean = projector.mean.expand(len(targets), -1)
    with torch.no_grad():
        columns = {
            "other_photograph": pyramid_distance(targets.flip(0), targets),
            "mean_of_w": projector.distance(mean, targets),
            "w": w.distance,
            "w_plus": w_plus.distance,
            "w_strayed": w.offset,
            "w_plus_strayed": w_plus.offset,
        }
    return [{name: round(float(values[k]), 6) for name, values in columns.items()} for k in range(len(targets))]
