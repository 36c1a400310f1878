"""Reading a portrait's attributes from its pixels: a small convolutional regressor and how well it reads each."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from arena.data.progress import progress
from arena.data.reals import Reals
from arena.images import to_float

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
