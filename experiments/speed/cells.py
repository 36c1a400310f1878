"""List the configurations that compare.py measures, and build their generators."""

from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Literal

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from textbook import GROUP, TextbookGenerator

from arena.config.compose import CONF
from arena.config.instantiate import SHAPE, instantiate
from arena.config.schema import register
from arena.core.errors import ArenaError
from arena.generators.base import Generator, TrainableGenerator
from arena.generators.style import StyleGenerator
from arena.training.machine import Precision

Work = Literal["training", "sampling", "rendering"]
Variant = Literal["plain", "lightning", "contiguous", "compiled", "relativistic"]
"""``plain`` is a bare loop over the training step of a race, with channels-last kernels, the logistic loss and lazy R1.

Each other variant changes one thing: Lightning's Trainer, contiguous kernels, ``torch.compile``, or the default loss
of a race, which has R1 and R2 at every step.
"""
TEXTBOOK, STYLE, PORTRAITS = "textbook", "style", "portraits"
LARGEST_PORTRAIT = 128
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
VARIANTS: tuple[Variant, ...] = ("plain", "lightning", "contiguous", "compiled", "relativistic")


@dataclass(frozen=True)
class Settings:
    """Settings of all cells.

    Args:
        seconds: of measuring, per cell.
        resolution: side in pixels, a power of two from 8 to 256.
        batch: real images of a training step.
        width: of ``style`` and of the textbook port. Other generators have that of their configs.
    """

    seconds: float = 10.0
    resolution: int = 32
    batch: int = 64
    width: int = 96


@dataclass(frozen=True)
class Cell:
    """One row of the table.

    Args:
        work: training, sampling (``forge``) or rendering.
        name: of the generator, or ``portraits``.
        precision: of training. Sampling and rendering are always fp32.
        variant: of training.
    """

    work: Work
    name: str
    precision: Precision = "fp32"
    variant: Variant = "plain"

    def __str__(self) -> str:
        variant = [] if self.variant == "plain" else [self.variant]
        return " ".join([self.work, self.name, self.precision, *variant])


def cells(settings: Settings, only: str | None = None) -> list[Cell]:
    """Return all cells, or those of one name and the textbook port at the same work.

    Raises:
        ArenaError: for an unknown name.
    """
    names = trainable(settings)
    rows = [Cell("training", TEXTBOOK)]
    for name, precision in product(names, PRECISIONS):
        rows += [
            Cell("training", name, precision, variant) for variant in (VARIANTS if name == STYLE else VARIANTS[:1])
        ]
    rows += [Cell("sampling", name) for name in (TEXTBOOK, *names)]
    rows += [Cell("rendering", PORTRAITS)] if settings.resolution <= LARGEST_PORTRAIT else []
    if only is None:
        return rows
    known = list(dict.fromkeys(row.name for row in rows))
    if only not in known:
        raise ArenaError(f"--only={only}: expected one of {', '.join(known)}")
    works = {row.work for row in rows if row.name == only}
    return [row for row in rows if row.name == only or (row.name == TEXTBOOK and row.work in works)]


def trainable(settings: Settings) -> list[str]:
    """Return the generators in ``conf`` that train and need only the shape of the images."""
    names = []
    for leaf in sorted((CONF / "generator").glob("*.yaml")):
        try:
            generator = new_generator(leaf.stem, settings)
        except ArenaError:  # a generator of files, or of another size
            continue
        if isinstance(generator, TrainableGenerator):
            names.append(leaf.stem)
    return names


def new_generator(name: str, settings: Settings) -> Generator:
    """Build a generator at the size of the settings.

    Raises:
        ArenaError: if it needs files, or cannot make images of this size.
    """
    shape = {"resolution": settings.resolution, "channels": 3, "levels": 256}
    if name == TEXTBOOK:
        style = new_generator(STYLE, settings)
        assert isinstance(style, StyleGenerator)
        make = partial(
            TextbookGenerator,
            width=settings.width,
            z_dim=style.z_dim,
            mapping_depth=len(style.mapping.layers),
            mixing=style.mixing,
        )
    else:
        # Both discriminators have the minibatch deviation of the textbook.
        own = {"width": settings.width, "minibatch_group": GROUP} if name == STYLE else {}
        make = instantiate(_composed(name), "generator", SHAPE, **own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(**shape)


@cache
def _composed(name: str) -> DictConfig:
    register()
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        return compose("config", [f"generator={name}"]).generator
