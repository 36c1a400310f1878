"""Examine a folder of fakes made elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from torch import Tensor

from arena.data.reals import Reals
from arena.generators.base import Generator
from arena.generators.sources import FolderImages
from arena.imaging.images import ImageShape


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
        self.source = FolderImages(path, cache_dir, **shape)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Draw banks from the images of the folder."""
        return self.source.banks(counts, seed)

    def files(self) -> list[Path]:
        """Return the image files."""
        return self.source.files()

    def fingerprint(self) -> str:
        """Return the hash of the pixels."""
        return self.source.fingerprint()

    def check(self, counts: Mapping[str, int]) -> None:
        """Raise ``ArenaError`` if there are too few images to train and test judges."""
        self.source.check(counts)
