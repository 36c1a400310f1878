"""Save and load the fakes and the players of a race."""

from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from arena.config.schema import STACK
from arena.core.files import load_arrays, save_arrays
from arena.core.tensors import load_module
from arena.detectors.base import Detector
from arena.detectors.stack import Stack
from arena.generators.base import Generator, TrainableGenerator
from arena.generators.layers import store_channels_last
from arena.imaging.images import on_levels, to_uint8
from arena.race.race import Race

SHUFFLED = "shuffled"
"""Suffix of a technique whose detector learned from shuffled labels."""


class Bank(NamedTuple):
    """Fakes of one round on the data's grey levels: uint8 (n, C, H, W) each, from streams of their own."""

    train: Tensor
    validation: Tensor
    test: Tensor

    @classmethod
    def of(cls, forged: dict[str, Tensor], levels: int) -> Self:
        """Round float images in [-1, 1] to the data's levels."""
        return cls(**{name: to_bank(images, levels) for name, images in forged.items()})

    def save(self, path: Path) -> None:
        """Write an npz of uint8, atomically."""
        save_arrays(path, self._asdict())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a saved bank.

        Raises:
            ArenaError: if the file is missing or damaged.
        """
        return cls(*map(torch.from_numpy, load_arrays(path, cls._fields)))


def to_bank(images: Tensor, levels: int) -> Tensor:
    """Return float images (n, C, H, W) in [-1, 1] as uint8, rounded to the data's grey levels."""
    return to_uint8(on_levels(images, levels))


def load_bank(race: Race, round_index: int) -> Bank:
    """Return the bank that ``forge`` made in a round."""
    return Bank.load(race.layout.bank(round_index))


def load_generator(race: Race, round_index: int) -> Generator:
    """Return G_round on the race's device, with its averaged weights. A control has no weights.

    Kernels have the layout of training.
    """
    generator = race.new_generator()
    if isinstance(generator, TrainableGenerator):
        load_module(generator, race.layout.generator(round_index))
    store_channels_last(generator)
    return generator.to(race.machine.device).eval()


def load_detector(race: Race, name: str, round_index: int) -> Detector:
    """Return the detector of a technique as ``retrain`` left it in a round. ``SHUFFLED`` may follow the technique."""
    detector = race.new_detector(name.removesuffix(f".{SHUFFLED}"), 0)
    load_module(detector, race.layout.detector(round_index, name))
    return detector.to(race.machine.device)


def load_battery(race: Race, round_index: int) -> tuple[dict[str, Detector], Stack | None]:
    """Return the detectors in the loop as ``retrain`` left them in a round, and the stack over them."""
    detectors = {technique: load_detector(race, technique, round_index) for technique in race.members}
    if race.stack is None:
        return detectors, None
    stack = race.stack(members=len(race.members))
    load_module(stack, race.layout.detector(round_index, STACK))
    return detectors, stack
