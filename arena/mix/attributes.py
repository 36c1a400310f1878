"""Measure which level of style carries which attribute."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table as RichTable
from scipy.stats import binomtest
from torch import Tensor, nn

from arena.config.instantiate import instantiate
from arena.core.seeding import derive_seed
from arena.data.files import progress
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.portraits import Portraits
from arena.data.reals import Reals
from arena.figures.tables import Table
from arena.generators.base import FORGE_BATCH
from arena.generators.mixing import mix, wide
from arena.generators.style import LEVELS, Level, StyleGenerator
from arena.imaging.images import on_levels, to_float, to_uint8
from arena.mix.generator import node_of

IMAGES = 90_000
"""Budget of the training, in images shown."""
BATCH, RATE, DECAY = 64, 4e-3, 0.05
GRID = 16
"""Side in pixels the convolutions begin with: larger images are folded into channels, and cost about the same."""


class AttributeNetwork(nn.Module):
    """Images (B, C, H, W) in [-1, 1] to as many numbers (B, outputs).

    Where something stands is half of what is asked, so that the features are flattened and not averaged; and a linear
    path from half the resolution reads colours of large surfaces at once.
    """

    def __init__(self, resolution: int, channels: int, outputs: int, width: int = 32) -> None:
        super().__init__()
        fold = max(1, resolution // GRID)
        last = max(1, resolution // fold // 4)
        self.convolutions = nn.Sequential(
            nn.PixelUnshuffle(fold),
            *_block(channels * fold**2, width),
            *_block(width, width),
            nn.AvgPool2d(2),
            *_block(width, 2 * width),
            *_block(2 * width, 2 * width),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * last**2, 8 * width),
            nn.BatchNorm1d(8 * width),
            nn.ReLU(),
            nn.Linear(8 * width, outputs),
        )
        side = min(resolution, GRID)
        self.linear = nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten(), nn.Linear(channels * side**2, outputs))

    def forward(self, images: Tensor) -> Tensor:
        """(B, outputs)."""
        return self.convolutions(images) + self.linear(images)


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


@dataclass(frozen=True)
class Regressor:
    """A trained network and what it is worth on held-out reals.

    Args:
        network: in eval mode.
        columns: attribute -> its columns among the outputs, in standard deviations of the attribute: of a colour, one
            for its three components, so that distances are those of the colours.
        r2: attribute -> share of its variance, over all its columns, that is read on held-out reals.
        error: attribute -> root mean square of the distance between read and true on held-out reals.
    """

    network: AttributeNetwork
    columns: Mapping[str, slice]
    r2: Mapping[str, float]
    error: Mapping[str, float]

    def read(self, images: Tensor) -> Mapping[str, NDArray[np.float32]]:
        """Attributes (N, k) of uint8 images (N, C, H, W), in standard deviations."""
        outputs = _outputs(self.network, images)
        return {name: outputs[:, its] for name, its in self.columns.items()}


def fit_regressor(train: Reals, held_out: Reals, seed: int, images: int = IMAGES) -> Regressor:
    """Train on all attributes at once by least squares.

    Args:
        train: reals with attributes.
        held_out: others, that say what it is worth.
        seed: of the initial weights and of the order.
        images: budget, in images shown.
    """
    columns, truth = _columns(train), _values(train)
    mean, deviation = truth.mean(0), np.empty(truth.shape[1], np.float32)
    for its in columns.values():
        deviation[its] = np.sqrt(truth[:, its].var(0).mean()).clip(1e-6)
    target = torch.from_numpy((truth - mean) / deviation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AttributeNetwork(train.images.shape[-1], train.images.shape[1], target.shape[1])
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = images // BATCH
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    for index in progress(_batches(len(train), steps, seed), "learning to read attributes", total=steps):
        loss = F.mse_loss(network(_input(train.images[index])), target[index])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    wanted = (_values(held_out) - mean) / deviation
    missed = (_outputs(network, held_out.images) - wanted) ** 2
    r2 = {name: float(1 - missed[:, its].mean() / wanted[:, its].var(0).mean()) for name, its in columns.items()}
    error = {name: float(np.sqrt(missed[:, its].sum(1).mean())) for name, its in columns.items()}
    return Regressor(network, columns, r2, error)


def _batches(n: int, steps: int, seed: int) -> list[Tensor]:
    """Shuffled passes over n reals, in ``steps`` batches."""
    rng = torch.Generator().manual_seed(seed)
    passes = -(-steps * BATCH // n)
    order = torch.cat([torch.randperm(n, generator=rng) for _ in range(passes)])
    return list(order[: steps * BATCH].split(BATCH))


def _columns(reals: Reals) -> dict[str, slice]:
    columns, start = {}, 0
    for name, values in reals.attributes.items():
        width = 1 if values.ndim == 1 else values.shape[1]
        columns[name] = slice(start, start + width)
        start += width
    return columns


def _values(reals: Reals) -> NDArray[np.float32]:
    return np.concatenate([values.reshape(len(reals), -1) for values in reals.attributes.values()], axis=1)


def _input(images: Tensor) -> Tensor:
    return to_float(images).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _outputs(network: AttributeNetwork, images: Tensor) -> NDArray[np.float32]:
    return torch.cat([network(_input(chunk)) for chunk in images.split(512)]).numpy()


TRAIN, HELD_OUT = 20_000, 2_000
"""Portraits the regressor is trained on, and those that say what it is worth."""
READABLE = 0.25
"""Least R² on held-out reals (a correlation of 1/2) for an attribute to be tabled."""

Read = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class AttributeShare:
    """A share of ``pairs`` with its 95% interval (Wilson 1927); NaN where there are none."""

    value: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, wins: NDArray[np.bool_]) -> "AttributeShare":
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
    source: Mapping[Level, AttributeShare]
    chance: Mapping[Level, AttributeShare]

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
    reals: Reals = instantiate(node, "data", n=TRAIN + HELD_OUT, render_seed=seed).load()
    # From the cache they come in the alphabet's order, and the order decides the regressor's weights.
    attributes = {column.name: reals.attributes[column.name] for column in fields(FaceAttributes)}
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

    def won(name: str, source: NDArray[np.float32]) -> dict[Level, AttributeShare]:
        kept, error = of_destination[name], regressor.error[name]
        return {level: _nearer(of_mixed[level][name], source, kept, error) for level in LEVELS}

    return [
        Carried(name, r2, won(name, of_source[name]), won(name, np.roll(of_source[name], 1, axis=0)))
        for name, r2 in regressor.r2.items()
    ]


def _nearer(
    mixed: NDArray[np.float32], source: NDArray[np.float32], destination: NDArray[np.float32], error: float
) -> AttributeShare:
    """How often the mixed image is nearer to the source, among pairs that differ by more than ``error``."""
    differ = np.linalg.norm(source - destination, axis=1) > error
    wins = np.linalg.norm(mixed - source, axis=1) < np.linalg.norm(mixed - destination, axis=1)
    return AttributeShare.of(wins[differ])


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
