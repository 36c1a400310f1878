"""Hold real images in memory, and define the base class of data sets."""

import logging
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Self, TypedDict

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from arena.core.errors import require
from arena.data.likeness import groups_of_like, joined
from arena.data.split import Purpose, Split, partition, sources_of, split_reals

log = logging.getLogger(__name__)

LockedShare = Annotated[float, Field(ge=0, le=0.5)]
"""Share of the reals that are opened only by ``judge.locked``."""


class RequiredTerms(TypedDict):
    """Keywords that every data set needs, see ``DataTerms``."""

    seed: int
    planted_amplitude: float


class DataTerms(RequiredTerms, total=False):
    """Keywords of every data set, beside its own.

    Args:
        seed: ``data.seed``, seed of the split.
        planted_amplitude: peak amplitude, in whole grey levels, of the artefact that a working judge must detect.
        locked: share of the reals kept from everything but a race with ``judge.locked``, for every ``data.seed``. None
            (default) are kept.
        mirror: whether the mirror image of a real might be real too, so that detectors may learn from it. True by
            default, false for writing. Detectors read it as ``data.mirror`` of the config, so that is where to set it.
    """

    locked: LockedShare
    mirror: bool


@dataclass(frozen=True)
class Reals:
    """Real images with their ids and known attributes.

    Args:
        images: uint8 (N, C, H, W).
        ids: int64 (N,), the index of the image in the whole data set: one image has one id in every run.
        attributes: name -> (N,) or (N, k) array of a known attribute, such as the pose of a portrait.
        persons: int64 (N,) person in each image, or None if unknown. Photographs that are nearly equal count as of one.
    """

    images: Tensor
    ids: NDArray[np.int64]
    attributes: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    persons: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sources(self) -> NDArray[np.int64]:
        """Return the source (N,) of each image: its person, or the image itself."""
        return sources_of(len(self), self.persons)

    def __getitem__(self, index: NDArray[np.int64]) -> Self:
        """Select images with their ids, attributes and persons."""
        return type(self)(
            images=self.images[torch.from_numpy(index)],
            ids=self.ids[index],
            attributes={name: values[index] for name, values in self.attributes.items()},
            persons=None if self.persons is None else self.persons[index],
        )

    def without(self, others: "Reals") -> Self:
        """Return the images of no source that is among ``others``, reals of the same data set."""
        of_others = self.ids, others.ids
        if self.persons is not None and others.persons is not None:
            of_others = self.persons, others.persons
        return self[np.flatnonzero(~np.isin(*of_others))]

    def split_off(self, n: int, rng: np.random.Generator) -> tuple[Self, Self]:
        """Split at random into about ``n`` images and the others; no source is in both."""
        part = partition(self.sources, np.array([n]), rng)
        return self[np.flatnonzero(part == 0)], self[np.flatnonzero(part == 1)]


class RealData(pl.LightningDataModule, ABC):
    """Base class of data sets: real images in memory, split once by ``data.seed``.

    A subclass sets ``name``, implements ``load`` and documents its own arguments besides these. It sets ``photographs``
    where some images may be copies of others, which are then kept in one part. Training draws batches from the parts in
    memory, so that there are no data loaders.

    Args:
        resolution: side in pixels, a power of two.
        channels: 1 (grey) or 3 (colour).
        levels: grey levels of the data, 2 to 256.
        seed, planted_amplitude, locked: see ``DataTerms``.
        mirror: whether detectors may learn from mirrored images, and the floor may forge them. Configs of detectors
            refer to ``data.mirror``.
    """

    photographs = False

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        seed: int,
        planted_amplitude: float,
        locked: LockedShare = 0.0,
        mirror: bool = True,
    ) -> None:
        super().__init__()
        power_of_two = resolution >= 8 and resolution & (resolution - 1) == 0
        require(power_of_two, "data.resolution", resolution, "a power of two, at least 8")
        whole = 1 <= planted_amplitude < levels and planted_amplitude == int(planted_amplitude)
        expected = f"a whole number of the data's grey levels, 1 to {levels - 1}"
        require(whole, "data.planted_amplitude", planted_amplitude, expected)
        self.resolution, self.channels, self.levels, self.seed = resolution, channels, levels, seed
        self.planted_amplitude, self.locked, self.mirror = planted_amplitude, locked, mirror
        self._reals: Reals | None = None
        self.near_duplicates = 0
        """Images that are nearly equal to an earlier one, once the data are set up."""

    @abstractmethod
    def load(self) -> Reals:
        """Return every usable image. Slow work is cached, because ``prepare_data`` calls this too."""

    def files(self) -> list[Path] | None:
        """Return the images' files, for the provenance check; None for images that are not read from files."""
        return None

    def prepare_data(self) -> None:
        """Fill the cache, once per machine."""
        self.load()

    def setup(self, stage: str | None = None) -> None:
        """Load and split; later calls do nothing."""
        if self._reals is None:
            reals = self.load()
            self._reals = self._with_near_duplicates_together(reals) if self.photographs else reals
            self.split_for("train")

    def _with_near_duplicates_together(self, reals: Reals) -> Reals:
        """Return the same images, those that are nearly equal of one source. Without such images nothing is changed."""
        groups = groups_of_like(reals.images)
        self.near_duplicates = len(reals) - len(np.unique(groups))
        if not self.near_duplicates:
            return reals
        message = "%d of %d images are nearly equal to others, and are kept in one part of the split with these"
        log.warning(message, self.near_duplicates, len(reals))
        return replace(reals, persons=joined(reals.sources, groups))

    def split_for(self, purpose: Purpose) -> None:
        """Split for the origin of the fakes, see ``SHARES``."""
        reals = self.reals
        self.split: Split = split_reals(len(reals), self.seed, reals.persons, self.locked, purpose)

    @property
    def reals(self) -> Reals:
        """Return all usable images."""
        self.setup()
        assert self._reals is not None
        return self._reals

    def part(self, name: str) -> Reals:
        """Return the reals of one part of the split: generator, detector, judge, reference or locked."""
        return self.reals[getattr(self.split, name)]
