"""Examine a folder of fakes made elsewhere."""

import hashlib
import logging
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Unpack

import numpy as np
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed
from arena.data.files import DecodedFiles, decode_folder
from arena.data.reals import Reals
from arena.data.split import FEWEST
from arena.generators.base import Generator
from arena.generators.controls import deal
from arena.imaging.images import ImageShape, to_float

# Smallest useful banks; the same minima hold for the reals.
FEWEST_OF_BANK = {"train": FEWEST["detector"], "validation": 8, "test": FEWEST["judge"]}

log = logging.getLogger(__name__)


class FolderGenerator(Generator):
    """The images of a folder and its subfolders, decoded, cropped and resized as by ``data=folder``.

    Banks are disjoint, drawn without replacement. If the folder has too few images, all banks shrink in proportion.
    Images with the same pixels count once, so that no image is in two banks.

    The training set of these fakes is unknown, and generator-train stands in for it in the memorisation measure.
    Copies of other reals go unseen. If the images' maker was trained on all of the data alike, the measure is 1/2.

    Args:
        path: the folder.
        cache_dir: folder for decoded images.
    """

    purpose = "outside"

    def __init__(self, *, path: str | Path | None, cache_dir: str | Path, **shape: Unpack[ImageShape]) -> None:
        super().__init__(**shape)
        self.path, self._decoded = path, _distinct_images(path, self.resolution, self.channels, cache_dir)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Draw banks from the images of the folder."""
        images = self._decoded.images
        parts = deal(np.arange(len(images)), counts, derive_seed(seed, "bank", player="folder"))
        return {name: to_float(images[part]) for name, part in parts.items()}

    def files(self) -> list[Path]:
        """Return the image files."""
        return self._decoded.files

    def fingerprint(self) -> str:
        """Return the hash of the pixels."""
        return hashlib.sha256(self._decoded.images.numpy().tobytes()).hexdigest()

    def check(self, counts: Mapping[str, int]) -> None:
        """Raise ``ArenaError`` if there are too few images to train and test judges."""
        available, total = len(self._decoded.images), sum(counts.values())
        needed = max(
            math.ceil(min(count, FEWEST_OF_BANK.get(name, 0)) * total / count) for name, count in counts.items()
        )
        if available < needed:
            banks = ", ".join(f"bank.{name}={count}" for name, count in counts.items())
            raise ArenaError(
                f"generator.path={self.path}: {available} different images, expected at least {needed}, to be divided "
                f"in the proportions of {banks}"
            )


@lru_cache(maxsize=1)  # each phase of a race builds its generator anew; decode and warn once
def _distinct_images(path: str | Path | None, resolution: int, channels: int, cache_dir: str | Path) -> DecodedFiles:
    """Decode a folder, and keep the first of all images with the same pixels."""
    decoded = decode_folder("generator", path, resolution, channels, cache_dir)
    first: dict[bytes, int] = {}
    for k, image in enumerate(decoded.images):
        first.setdefault(hashlib.sha256(image.numpy().tobytes()).digest(), k)
    if duplicates := len(decoded.images) - len(first):
        log.warning("%d images of generator.path=%s are left out: their pixels equal another image's", duplicates, path)
    kept = list(first.values())
    return DecodedFiles(decoded.images[kept], decoded.folder, [decoded.names[k] for k in kept])
