"""Banks of fakes on disk: what a generator made in a round to train, to validate and to test, each from its stream."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from arena.core.files import write_atomically
from arena.imaging.images import on_levels, to_uint8


class Bank(NamedTuple):
    """Fakes of one round: uint8 (n, C, H, W) each, on the data's grey levels."""

    train: Tensor
    validation: Tensor
    test: Tensor

    @classmethod
    def of(cls, forged: dict[str, Tensor], levels: int) -> Self:
        """From float images in [-1, 1], rounded to the data's levels."""
        return cls(**{name: to_uint8(on_levels(images, levels)) for name, images in forged.items()})

    def save(self, path: Path) -> None:
        """As an npz of uint8, whole or not at all."""
        buffer = BytesIO()
        np.savez(buffer, **{name: images.numpy() for name, images in self._asdict().items()})
        write_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """The bank saved there."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(*(torch.from_numpy(arrays[name]) for name in cls._fields))
