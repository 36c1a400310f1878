"""The rows of the benchmark: what is measured, of whom, how."""

from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Literal

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from arena.bench.settings import Settings
from arena.bench.textbook import GROUP, TextbookGenerator
from arena.config.compose import CONF
from arena.config.instantiate import SHAPE, instantiate
from arena.config.schema import register
from arena.core.errors import ArenaError, require
from arena.generators.base import Generator, TrainableGenerator
from arena.generators.style import StyleGenerator
from arena.training.machine import Precision

Work = Literal["training", "sampling", "rendering"]
Variant = Literal["plain", "lightning", "contiguous", "compiled", "relativistic"]
"""``plain`` is a bare loop over the step a race takes, kernels stored channels last, under the logistic loss with lazy
R1. The others differ from it in one thing: steps driven by Lightning's Trainer, kernels stored channel by channel,
networks through ``torch.compile``, or the loss a race has by default, with R1 and R2 at every step."""
TEXTBOOK, STYLE, PORTRAITS = "textbook", "style", "portraits"
LARGEST_PORTRAIT = 128
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
VARIANTS: tuple[Variant, ...] = ("plain", "lightning", "contiguous", "compiled", "relativistic")


@dataclass(frozen=True)
class Cell:
    """One row.

    Args:
        work: training, sampling (``forge``) or rendering.
        name: of the generator, or ``portraits``.
        precision: of training; sampling and rendering are always fp32.
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
    """All there are, the textbook port first in its work; or those of one name, beside the textbook port.

    Raises:
        ArenaError: for a name there is not.
    """
    names = trainable(settings)
    rows = [Cell("training", TEXTBOOK)]
    for name, precision in product(names, PRECISIONS):
        variants = VARIANTS if name == STYLE else VARIANTS[:1]
        rows += [Cell("training", name, precision, variant) for variant in variants]
    rows += [Cell("sampling", name) for name in (TEXTBOOK, *names)]
    rows += [Cell("rendering", PORTRAITS)] if settings.resolution <= LARGEST_PORTRAIT else []
    if only is None:
        return rows
    known = list(dict.fromkeys(row.name for row in rows))
    require(only in known, "--only", only, f"one of {', '.join(known)}")
    works = {row.work for row in rows if row.name == only}
    return [row for row in rows if row.name == only or (row.name == TEXTBOOK and row.work in works)]


def trainable(settings: Settings) -> list[str]:
    """Names of the generators in ``conf`` that train and need nothing but the shape of the images."""
    found = []
    for leaf in sorted((CONF / "generator").glob("*.yaml")):
        try:
            generator = new_generator(leaf.stem, settings)
        except ArenaError:  # one of files, or of another size
            continue
        if isinstance(generator, TrainableGenerator):
            found.append(leaf.stem)
    return found


def new_generator(name: str, settings: Settings) -> Generator:
    """A generator of that name, at the settings' size.

    Raises:
        ArenaError: where it needs what only a user has, or cannot make images of this size.
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
        # The minibatch deviation is the textbook's, so that both discriminators do the same.
        own = {"width": settings.width, "minibatch_group": GROUP} if name == STYLE else {}
        make = instantiate(_composed(name), "generator", SHAPE, **own)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make(**shape)


@cache
def _composed(name: str) -> DictConfig:
    """The config of a generator as it stands in a race."""
    register()
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        return compose("config", [f"generator={name}"]).generator
