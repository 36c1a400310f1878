"""Images somebody else made: a folder of fakes, examined as it is."""

import hashlib
import logging
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed
from arena.data.files import Decoded, decode_folder
from arena.data.reals import Reals
from arena.data.split import FEWEST
from arena.generators.base import Generator
from arena.generators.controls import dealt
from arena.imaging.images import to_float

# Fewest fakes of a bank that leave its use a meaning, as of the reals beside them.
FEWEST_OF_BANK = {"train": FEWEST["detector"], "validation": 8, "test": FEWEST["judge"]}

log = logging.getLogger(__name__)


class FolderGenerator(Generator):
    """The images of a folder and of all folders in it, decoded, cropped and resized as ``data=folder`` does.

    Its banks are drawn, disjoint and without replacement; where they want more than there is, all shrink in proportion.
    Images of the same pixels count once, so that none is in two banks.

    What its maker was trained on is not known here. Generator-train stands in for that in the measure of memorisation,
    which therefore sees copies of those reals and no others: where the maker was trained on all of the data alike, it
    is 1/2 whatever was copied.

    Args:
        resolution: side in pixels.
        channels: 1 or 3.
        levels: grey levels of the data.
        path: the folder.
        cache_dir: where decoded images are kept.

    Raises:
        ArenaError: where the folder is missing or has no usable image.
    """

    outside = True

    def __init__(
        self, *, resolution: int, channels: int, levels: int, path: str | Path | None, cache_dir: str | Path
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        self.path, self._decoded = path, _different(path, resolution, channels, cache_dir)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Banks of the folder's images."""
        images = self._decoded.images
        parts = dealt(np.arange(len(images)), counts, derive_seed(seed, "bank", player="folder"))
        return {name: to_float(images[part]) for name, part in parts.items()}

    def files(self) -> list[Path]:
        """The images' files."""
        return self._decoded.files

    def fingerprint(self) -> str:
        """Of the images' pixels."""
        return hashlib.sha256(self._decoded.images.numpy().tobytes()).hexdigest()

    def check(self, counts: Mapping[str, int]) -> None:
        """Refuse too few images for judges to learn from and to be tested on.

        Raises:
            ArenaError: saying how many are needed.
        """
        found, wanted = len(self._decoded.images), sum(counts.values())
        needed = max(
            math.ceil(min(count, FEWEST_OF_BANK.get(name, 0)) * wanted / count) for name, count in counts.items()
        )
        if found < needed:
            banks = ", ".join(f"bank.{name}={count}" for name, count in counts.items())
            raise ArenaError(
                f"generator.path={self.path}: {found} different images, but at least {needed} are needed to be dealt "
                f"out in the proportions of {banks}"
            )


@lru_cache(maxsize=1)  # a race makes its generator anew for each phase, and what is to be said is said once
def _different(path: str | Path | None, resolution: int, channels: int, cache_dir: str | Path) -> Decoded:
    """The first of all images with the same pixels."""
    decoded = decode_folder("generator", path, resolution, channels, cache_dir)
    first: dict[bytes, int] = {}
    for k, image in enumerate(decoded.images):
        first.setdefault(hashlib.sha256(image.numpy().tobytes()).digest(), k)
    if more := len(decoded.images) - len(first):
        log.warning("%d images of generator.path=%s have the pixels of another, and are left out", more, path)
    kept = list(first.values())
    return Decoded(decoded.images[kept], decoded.folder, [decoded.names[k] for k in kept])
