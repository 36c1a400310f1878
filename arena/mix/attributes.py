"""What each level of style carries: whose attribute a mixed portrait has, its source's or its destination's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as RichTable
from scipy.stats import binomtest
from torch import Tensor

from arena.data.portraits import Portraits
from arena.data.reals import Reals
from arena.data.sitters import Sitters
from arena.figures.tables import Table
from arena.generators.generator import FORGE_BATCH
from arena.generators.style import LEVELS, Level, StyleGenerator
from arena.images import on_levels, to_uint8
from arena.mix.codes import mix, wide
from arena.mix.finished import node_of
from arena.mix.regressor import Regressor
from arena.parts import part
from arena.seeding import derive_seed

TRAIN, HELD_OUT = 20_000, 2_000
"""Portraits the regressor is trained on, and those that say what it is worth."""
READABLE = 0.25
"""Least R² on held-out reals (a correlation of 1/2) for an attribute to be tabled."""

Read = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Share:
    """A share of ``pairs`` with its 95% interval (Wilson 1927); NaN where there are none."""

    value: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, wins: NDArray[np.bool_]) -> "Share":
        """Of independent pairs."""
        if len(wins) == 0:
            return cls(float("nan"), float("nan"), float("nan"), 0)
        test = binomtest(int(wins.sum()), len(wins))
        interval = test.proportion_ci(method="wilson")
        return cls(test.statistic, interval.low, interval.high, len(wins))


@dataclass(frozen=True)
class Carried:
    """How far the levels of style carry one attribute.

    Args:
        attribute: its name.
        r2: of its regressor on held-out reals; below ``READABLE`` nothing is said of it.
        source: level -> share of pairs in which the mixed image is nearer to its source than to its destination.
        chance: the same with an unrelated third person in the source's place: what any change of that level would do.
    """

    attribute: str
    r2: float
    source: Mapping[Level, Share]
    chance: Mapping[Level, Share]

    @property
    def readable(self) -> bool:
        """Whether the regressor reads it well enough to say whose it is."""
        return self.r2 >= READABLE


def fresh_portraits(run: Path) -> tuple[Reals, Reals]:
    """Portraits to train a regressor on and to test it by: as the run's own, but of another rendering seed.

    Nobody in the race has seen these sitters, and there are more of them, which is what reading small features takes.

    Raises:
        ArenaError: where the run's data is not ``portraits``, whose attributes are known.
    """
    node = node_of(run, "data", Portraits)
    seed = derive_seed(int(node.render_seed), "attributes")
    reals: Reals = part(node, "data", n=TRAIN + HELD_OUT, render_seed=seed).load()
    # From the cache they come in the alphabet's order, and the order decides the regressor's weights.
    attributes = {column.name: reals.attributes[column.name] for column in fields(Sitters)}
    reals = replace(reals, attributes=attributes)
    return reals[np.arange(TRAIN)], reals[np.arange(TRAIN, TRAIN + HELD_OUT)]


@torch.inference_mode()
def carried(generator: StyleGenerator, regressor: Regressor, pairs: int, seed: int) -> list[Carried]:
    """Mix ``pairs`` sources with as many destinations at every level, and read whose attributes the mixed images have.

    A pair counts for an attribute where source and destination clearly differ in it: by more than the regressor's root
    mean square error. Codes are not truncated and noise inputs are frozen.

    Args:
        generator: in eval mode.
        regressor: of its attributes.
        pairs: of source and destination, all of different z.
        seed: of the z.
    """
    rng = torch.Generator().manual_seed(derive_seed(seed, "mixing", player="attributes"))
    z = torch.randn(2 * pairs, generator.z_dim, generator=rng)
    source, destination = wide(generator.mapping(z), generator.n_styles).chunk(2)
    layers = generator.style_levels
    of_source, of_destination = (_read(generator, regressor, code) for code in (source, destination))
    of_mixed = {level: _read(generator, regressor, mix(source, destination, layers[level])) for level in LEVELS}

    def won(name: str, source: NDArray[np.float32]) -> dict[Level, Share]:
        kept, error = of_destination[name], regressor.error[name]
        return {level: _nearer(of_mixed[level][name], source, kept, error) for level in LEVELS}

    return [
        Carried(name, r2, won(name, of_source[name]), won(name, np.roll(of_source[name], 1, axis=0)))
        for name, r2 in regressor.r2.items()
    ]


def _nearer(
    mixed: NDArray[np.float32], source: NDArray[np.float32], destination: NDArray[np.float32], error: float
) -> Share:
    """How often the mixed image is nearer to the source, among pairs that differ by more than ``error``."""
    differ = np.linalg.norm(source - destination, axis=1) > error
    wins = np.linalg.norm(mixed - source, axis=1) < np.linalg.norm(mixed - destination, axis=1)
    return Share.of(wins[differ])


def _read(generator: StyleGenerator, regressor: Regressor, codes: Tensor) -> Read:
    images = [generator.images_of(batch, "frozen") for batch in codes.split(FORGE_BATCH)]
    return regressor.read(to_uint8(on_levels(torch.cat(images), generator.levels)))


def attribute_table(found: Sequence[Carried]) -> Table:
    """One row an attribute: held-out R², and of each level share, 95% interval and chance; empty where unreadable."""
    parts = [f"{level}{part}" for level in LEVELS for part in ("", "_low", "_high", "_chance")]
    table = [["attribute", "r2", "readable", "pairs", *parts]]
    for its in found:
        shares = [
            f"{value:.3f}"
            for level in LEVELS
            for source in [its.source[level]]
            for value in (source.value, source.low, source.high, its.chance[level].value)
        ]
        cells = [str(its.source[LEVELS[0]].pairs), *shares] if its.readable else [""] * (1 + len(parts))
        table.append([its.attribute, f"{its.r2:.2f}", "yes" if its.readable else "no", *cells])
    return table


def show(found: Sequence[Carried], console: Console) -> None:
    """The same to read: in each level's column the share, its interval and, in brackets, chance."""
    levels = (f"{level} styles of the source" for level in LEVELS)
    title = "How often a mixed image has its source's attribute and not its destination's [95%] (chance)"
    table = RichTable("attribute", "R²", *levels, title=title, title_justify="left")
    for its in filter(lambda its: its.readable, found):
        shares = ((its.source[level], its.chance[level]) for level in LEVELS)
        cells = [f"{own.value:.2f} [{own.low:.2f}, {own.high:.2f}] ({other.value:.2f})" for own, other in shares]
        table.add_row(its.attribute, f"{its.r2:.2f}", *cells)
    console.print(table)
    lost = ", ".join(f"{its.attribute} {its.r2:.2f}" for its in found if not its.readable)
    console.print(f"not readable here (held-out R² below {READABLE:g}): {lost or 'none'}", highlight=False)
