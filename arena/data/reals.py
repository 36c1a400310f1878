"""Real images in memory, and the LightningDataModule every data set of the arena is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from arena.core.errors import ArenaError, require
from arena.data.split import Split, cut, sources_of, split_for_judging, split_reals


@dataclass(frozen=True)
class Reals:
    """Real images: uint8 (N, C, H, W), with their ids (N,), and whatever else the data knows of each.

    Args:
        images: uint8 (N, C, H, W).
        ids: int64 (N,), the image's index in the whole data set: the same image has the same id in every run.
        attributes: name -> (N,) or (N, k) array of a known attribute, such as the pose of a portrait.
        persons: int64 (N,) who is shown, or None where the data does not know.
    """

    images: Tensor
    ids: NDArray[np.int64]
    attributes: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    persons: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sources(self) -> NDArray[np.int64]:
        """What each image comes from: its person, or itself."""
        return sources_of(len(self), self.persons)

    def __getitem__(self, index: NDArray[np.int64]) -> Self:
        """The images at ``index`` with their ids and attributes."""
        return type(self)(
            images=self.images[torch.from_numpy(index)],
            ids=self.ids[index],
            attributes={name: values[index] for name, values in self.attributes.items()},
            persons=None if self.persons is None else self.persons[index],
        )

    def parted(self, n: int, rng: np.random.Generator) -> tuple[Self, Self]:
        """About ``n`` images at random, and the others; no source is in both."""
        part = cut(self.sources, np.array([n]), rng)
        return self[np.flatnonzero(part == 0)], self[np.flatnonzero(part == 1)]


class RealData(pl.LightningDataModule, ABC):
    """A set of real images, split once by ``data.seed``.

    A subclass sets its ``name`` and ``load``s; everything after that is common. The loaders serve whoever trains a
    model of their own on the same parts; the race itself keeps the reals in memory and draws its batches from them.

    Args:
        resolution: side in pixels.
        channels: 1 (grey) or 3 (colour).
        levels: grey levels of the data, 2 to 256.
        seed: ``data.seed``, which splits.
        planted_amplitude: peak amplitude, in grey levels of this data, of the artefact a fit judge must catch.
        batch_size: of the loaders.
    """

    def __init__(
        self, *, resolution: int, channels: int, levels: int, seed: int, planted_amplitude: float, batch_size: int = 64
    ) -> None:
        super().__init__()
        if resolution < 8 or resolution & (resolution - 1):
            raise ArenaError(f"data.resolution={resolution}: expected a power of two, at least 8")
        possible = 1 <= planted_amplitude < levels and planted_amplitude == int(planted_amplitude)
        expected = f"a whole number of the data's grey levels, 1 to {levels - 1}"
        require(possible, "data.planted_amplitude", planted_amplitude, expected)
        self.resolution, self.channels, self.levels, self.seed = resolution, channels, levels, seed
        self.planted_amplitude, self.batch_size = planted_amplitude, batch_size
        self._reals: Reals | None = None

    @abstractmethod
    def load(self) -> Reals:
        """Every usable image; slow work is done once and cached (``prepare_data`` calls this too)."""

    def files(self) -> list[Path] | None:
        """The files the images came from, for the provenance check; None where there are none."""
        return None

    def prepare_data(self) -> None:
        """Fill the cache, once a machine."""
        self.load()

    def setup(self, stage: str | None = None) -> None:
        """Load and split; called again, it does nothing."""
        if self._reals is None:
            self._reals = self.load()
            self.split: Split = split_reals(len(self._reals), self.seed, self._reals.persons)

    def split_for_judging(self) -> None:
        """Split anew, for images made outside: no real is set aside for a generator."""
        self.split = split_for_judging(len(self.reals), self.seed, self.reals.persons)

    @property
    def reals(self) -> Reals:
        """All usable images."""
        self.setup()
        assert self._reals is not None
        return self._reals

    def part(self, name: str) -> Reals:
        """The reals of one part of the split: generator, detector, judge or reference."""
        return self.reals[getattr(self.split, name)]

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """Shuffled uint8 batches of generator-train."""
        return self._loader("generator", shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """uint8 batches of the reference reals."""
        return self._loader("reference", shuffle=False)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """uint8 batches of the judge reals."""
        return self._loader("judge", shuffle=False)

    def _loader(self, part: str, shuffle: bool) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(TensorDataset(self.part(part).images), batch_size=self.batch_size, shuffle=shuffle)
