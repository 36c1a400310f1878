"""Measure which level of style carries which attribute of a portrait."""

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
from torch.nn.utils import convert_conv2d_weight_memory_format

from arena.config.instantiate import instantiate
from arena.config.trust import config_node
from arena.core.errors import require
from arena.core.seeding import derive_seed
from arena.data.decoding import progress_bar
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.portraits import Portraits
from arena.data.reals import Reals
from arena.figures.tables import Table, write_table
from arena.generators.base import FORGE_BATCH
from arena.generators.mixing import mix
from arena.generators.style import LEVELS, Level, StyleGenerator
from arena.imaging.images import on_levels, to_float, to_uint8
from arena.mix.generator import load_style_generator

TRAIN, HELD_OUT = 20_000, 2_000
"""Portraits that train the regressor, and portraits that test it."""
IMAGES = 90_000
"""Training budget of the regressor, in images shown."""
BATCH, LEARNING_RATE, WEIGHT_DECAY = 64, 4e-3, 0.05
GRID = 16
"""Side in pixels of the first convolution's input. Larger images are folded into channels, at about the same cost."""
READABLE = 0.25
"""Smallest R² on held-out reals (a correlation of 1/2) of an attribute in the table."""


def tabulate_attributes(
    run: Path,
    console: Console,
    *,
    round_index: int | None = None,
    out: Path | None = None,
    pairs: int = 2000,
    seed: int = 0,
) -> list[Path]:
    """Measure which level of style carries which attribute, print it, and return the files of the table.

    Args:
        run: directory of a run with a style generator and ``data=portraits``.
        console: output for the table.
        round_index: round whose generator to use; None takes the last one.
        out: folder for the table (CSV and LaTeX); None is ``RUN/mixing``.
        pairs: pairs of images to mix.
        seed: seed of the regressor and of the pairs.
    """
    require(pairs >= 2, "--pairs", pairs, "at least 2")
    generator, round_index = load_style_generator(run, round_index)
    regressor = fit_regressor(*fresh_portraits(run), seed)
    transfers = measure_transfer(generator, regressor, pairs, seed)
    print_attributes(transfers, console)
    folder = run / "mixing" if out is None else out
    return write_table(attribute_table(transfers), folder / f"attributes_{round_index:02d}")


def fresh_portraits(run: Path) -> tuple[Reals, Reals]:
    """Render portraits to train and to test a regressor: those of the run's config with another rendering seed.

    The race has seen none of these faces. There are more of them than in the race, because small features need many.
    """
    node = config_node(run, "data", Portraits)
    seed = derive_seed(int(node.render_seed), "attributes")
    reals: Reals = instantiate(node, "data", n=TRAIN + HELD_OUT, render_seed=seed).load()
    # The cache returns attributes in alphabetical order. Their order decides the regressor's initial weights.
    attributes = {column.name: reals.attributes[column.name] for column in fields(FaceAttributes)}
    reals = replace(reals, attributes=attributes)
    return reals[np.arange(TRAIN)], reals[np.arange(TRAIN, TRAIN + HELD_OUT)]


class AttributeNetwork(nn.Module):
    """Map images (B, C, H, W) in [-1, 1] to attributes (B, outputs).

    Features are flattened and not averaged, because many attributes are positions. A linear path from the image at 16
    pixels reads the colours of large areas directly.
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
        """Return attributes (B, outputs)."""
        return self.convolutions(images) + self.linear(images)


def _block(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()


@dataclass(frozen=True)
class Regressor:
    """A trained network with its accuracy on held-out reals.

    Args:
        network: in eval mode.
        columns: attribute -> its columns among the outputs, in standard deviations of the attribute. The three
            components of a colour share one deviation, so that distances are those of the colours.
        r2: attribute -> share of its variance, over all its columns, explained on held-out reals.
        error: attribute -> root mean square distance between prediction and truth on held-out reals.
    """

    network: AttributeNetwork
    columns: Mapping[str, slice]
    r2: Mapping[str, float]
    error: Mapping[str, float]

    def read(self, images: Tensor) -> Mapping[str, NDArray[np.float32]]:
        """Predict the attributes (N, k) of uint8 images (N, C, H, W), in standard deviations."""
        outputs = _predict(self.network, images)
        return {name: outputs[:, columns] for name, columns in self.columns.items()}


def fit_regressor(train: Reals, held_out: Reals, seed: int, images: int = IMAGES) -> Regressor:
    """Train a network on all attributes at once by least squares, and measure its accuracy on held-out reals.

    The budget is in images shown. The seed decides the initial weights and the batches.
    """
    columns, first = {}, 0
    for name, values in train.attributes.items():
        width = 1 if values.ndim == 1 else values.shape[1]
        columns[name] = slice(first, first + width)
        first += width
    truth = _targets(train)
    mean, deviation = truth.mean(0), np.empty(truth.shape[1], np.float32)
    for place in columns.values():
        deviation[place] = np.sqrt(truth[:, place].var(0).mean()).clip(1e-6)
    target = torch.from_numpy((truth - mean) / deviation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = AttributeNetwork(train.images.shape[-1], train.images.shape[1], target.shape[1])
    convert_conv2d_weight_memory_format(network, torch.channels_last)
    steps = images // BATCH
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
    rng = torch.Generator().manual_seed(seed)
    passes = -(-steps * BATCH // len(train))
    order = torch.cat([torch.randperm(len(train), generator=rng) for _ in range(passes)])
    batches = order[: steps * BATCH].split(BATCH)
    for batch in progress_bar(batches, "learning to read attributes", total=steps):
        loss = F.mse_loss(network(_network_input(train.images[batch])), target[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    network.eval()
    expected = (_targets(held_out) - mean) / deviation
    squared = (_predict(network, held_out.images) - expected) ** 2
    r2 = {name: float(1 - squared[:, k].mean() / expected[:, k].var(0).mean()) for name, k in columns.items()}
    error = {name: float(np.sqrt(squared[:, k].sum(1).mean())) for name, k in columns.items()}
    return Regressor(network, columns, r2, error)


def _targets(reals: Reals) -> NDArray[np.float32]:
    return np.concatenate([values.reshape(len(reals), -1) for values in reals.attributes.values()], axis=1)


def _network_input(images: Tensor) -> Tensor:
    return to_float(images).contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def _predict(network: AttributeNetwork, images: Tensor) -> NDArray[np.float32]:
    return torch.cat([network(_network_input(chunk)) for chunk in images.split(512)]).numpy()


@dataclass(frozen=True)
class AttributeShare:
    """A share of ``pairs`` with its 95% interval (Wilson 1927); NaN without pairs."""

    value: float
    low: float
    high: float
    pairs: int

    @classmethod
    def of(cls, wins: NDArray[np.bool_]) -> "AttributeShare":
        """Return the share of wins among independent pairs."""
        if len(wins) == 0:
            return cls(float("nan"), float("nan"), float("nan"), 0)
        test = binomtest(int(wins.sum()), len(wins))
        interval = test.proportion_ci(method="wilson")
        return cls(test.statistic, interval.low, interval.high, len(wins))


@dataclass(frozen=True)
class AttributeTransfer:
    """The share of pairs in which each level of style carries one attribute from source to destination.

    Args:
        attribute: its name.
        r2: R² of the regressor on held-out reals.
        source: level -> share of pairs in which the mixed image is closer to its source than to its destination.
        chance: level -> the same share with an unrelated third image in place of the source. It shows the effect of any
            change of that level.
    """

    attribute: str
    r2: float
    source: Mapping[Level, AttributeShare]
    chance: Mapping[Level, AttributeShare]

    @property
    def readable(self) -> bool:
        """True if the regressor reads the attribute well enough for the table."""
        return self.r2 >= READABLE


@torch.inference_mode()
def measure_transfer(generator: StyleGenerator, regressor: Regressor, pairs: int, seed: int) -> list[AttributeTransfer]:
    """Mix sources with destinations at every level, and compare the attributes of the mixed images with both.

    A pair counts for an attribute if its source and destination differ by more than the regressor's root mean square
    error. All z are different, codes are not truncated and noise inputs are frozen. The generator is in eval mode.
    """
    rng = torch.Generator().manual_seed(derive_seed(seed, "mixing", player="attributes"))
    z = torch.randn(2 * pairs, generator.z_dim, generator=rng)
    source, destination = generator.w_plus(generator.mapping(z)).chunk(2)
    layers = generator.style_levels

    def read(codes: Tensor) -> Mapping[str, NDArray[np.float32]]:
        images = [generator.images_of(batch, "frozen") for batch in codes.split(FORGE_BATCH)]
        return regressor.read(to_uint8(on_levels(torch.cat(images), generator.levels)))

    of_source, of_destination = read(source), read(destination)
    of_mixed = {level: read(mix(source, destination, layers[level])) for level in LEVELS}

    def shares(name: str, source: NDArray[np.float32]) -> dict[Level, AttributeShare]:
        destination, wins = of_destination[name], {}
        differ = np.linalg.norm(source - destination, axis=1) > regressor.error[name]
        for level in LEVELS:
            mixed = of_mixed[level][name]
            closer = np.linalg.norm(mixed - source, axis=1) < np.linalg.norm(mixed - destination, axis=1)
            wins[level] = AttributeShare.of(closer[differ])
        return wins

    return [
        AttributeTransfer(name, r2, shares(name, of_source[name]), shares(name, np.roll(of_source[name], 1, axis=0)))
        for name, r2 in regressor.r2.items()
    ]


def attribute_table(transfers: Sequence[AttributeTransfer]) -> Table:
    """Return one row per attribute: held-out R², then share, 95% interval and chance of each level if readable."""
    parts = [f"{level}{part}" for level in LEVELS for part in ("", "_low", "_high", "_chance")]
    table = [["attribute", "r2", "readable", "pairs", *parts]]
    for transfer in transfers:
        cells = [""] * (1 + len(parts))
        if transfer.readable:
            shares = [(transfer.source[level], transfer.chance[level].value) for level in LEVELS]
            values = [value for own, chance in shares for value in (own.value, own.low, own.high, chance)]
            cells = [str(transfer.source[LEVELS[0]].pairs), *(f"{value:.3f}" for value in values)]
        table.append([transfer.attribute, f"{transfer.r2:.2f}", "yes" if transfer.readable else "no", *cells])
    return table


def print_attributes(transfers: Sequence[AttributeTransfer], console: Console) -> None:
    """Print the readable attributes: per level the share, its interval and, in brackets, chance."""
    levels = (f"{level} styles of the source" for level in LEVELS)
    title = "How often a mixed image has its source's attribute and not its destination's [95%] (chance)"
    table = RichTable("attribute", "R²", *levels, title=title, title_justify="left")
    for transfer in transfers:
        if transfer.readable:
            shares = ((transfer.source[level], transfer.chance[level]) for level in LEVELS)
            cells = [f"{own.value:.2f} [{own.low:.2f}, {own.high:.2f}] ({other.value:.2f})" for own, other in shares]
            table.add_row(transfer.attribute, f"{transfer.r2:.2f}", *cells)
    console.print(table)
    lost = ", ".join(f"{transfer.attribute} {transfer.r2:.2f}" for transfer in transfers if not transfer.readable)
    console.print(f"not readable here (held-out R² below {READABLE:g}): {lost or 'none'}", highlight=False)
