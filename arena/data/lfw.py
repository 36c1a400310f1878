"""Labeled Faces in the Wild: 13,233 news photographs of 5,749 people (Huang et al. 2007), aligned by funneling."""

import logging
from functools import cached_property
from pathlib import Path

import numpy as np
import sklearn.datasets
from filelock import FileLock

from arena.config import require
from arena.data.fetch import data_home, fetched
from arena.data.folder import Decoded, decode_files
from arena.data.reals import RealData, Reals
from arena.errors import ArenaError

PHOTOGRAPHS = 13_233
ORIGINAL = "https://ndownloader.figshare.com/files/5976015"
"""Where scikit-learn has the archive from."""

log = logging.getLogger(__name__)


class Lfw(RealData):
    """Colour photographs of 250x250 pixels, with the face in the middle; nobody is in two parts of the split.

    Downloaded by scikit-learn when first asked for (about 240 MB). The JPEG files it unpacks are read here, cropped and
    resized once, and cached: its own loader would hold all of them as floats, 10 GB twice over.

    Args:
        resolution: side in pixels.
        crop: side of the middle square of each photograph that is kept, 8 to 250; the rest is background.
        seed: ``data.seed``, which splits.
        planted_amplitude: peak amplitude, in grey levels, of the artefact a fit judge must catch.
        cache_dir: where decoded images are kept.

    Raises:
        ArenaError: for a crop the photographs do not have.
    """

    name = "lfw"

    def __init__(
        self, *, resolution: int, crop: int, seed: int, planted_amplitude: float, cache_dir: str | Path
    ) -> None:
        super().__init__(resolution=resolution, channels=3, levels=256, seed=seed, planted_amplitude=planted_amplitude)
        require(8 <= crop <= 250, "data.crop", crop, "8 to 250 pixels")
        self.crop, self.cache_dir = crop, Path(cache_dir).expanduser()

    def load(self) -> Reals:
        """The photographs and who each shows, in the order of their names.

        Raises:
            ArenaError: where they are neither there nor to be downloaded.
        """
        names, images = self._decoded.names, self._decoded.images
        persons = np.unique([name.split("/")[0] for name in names], return_inverse=True)[1].astype(np.int64)
        return Reals(images, np.arange(len(images), dtype=np.int64), persons=persons)

    def files(self) -> list[Path]:
        """The photographs' files, in the order of their ids."""
        return self._decoded.files

    @cached_property
    def _decoded(self) -> Decoded:
        folder = self._fetched()
        files = sorted(folder.glob("*/*.jpg"))  # a folder for each person
        if not files:
            raise ArenaError(f"data=lfw: expected photographs in {folder}, found none; by hand: {_by_hand()}")
        if len(files) < PHOTOGRAPHS:
            log.warning("data=lfw: only %d of %d photographs are in %s", len(files), PHOTOGRAPHS, folder)
        return decode_files(folder, files, self.resolution, 3, self.cache_dir, self.crop)

    def _fetched(self) -> Path:
        """The folder of the photographs; where it is not there, one of several processes fetches and unpacks it."""
        folder = _folder()
        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.cache_dir / "lfw.lock"):
                if not folder.is_dir():
                    fetched("lfw", _fetch, _by_hand())
        except OSError as failure:
            expected = "expected a folder that can be written to"
            raise ArenaError(f"cache_dir={self.cache_dir}: {expected} ({failure})") from failure
        return folder


def _fetch() -> None:
    """Download and unpack; the archive's SHA-256 is checked.

    The fetcher also loads what it unpacked, and keeps that as a pickle: it is asked for the least there is, one pixel
    of each photograph of the one person with so many.
    """
    pixel = (slice(0, 1), slice(0, 1))
    sklearn.datasets.fetch_lfw_people(min_faces_per_person=500, slice_=pixel, resize=1.0, n_retries=1, delay=0.1)


def _folder() -> Path:
    return data_home() / "lfw_home" / "lfw_funneled"


def _by_hand() -> str:
    return f"unpack {ORIGINAL} (lfw-funneled.tgz) as {_folder()}"
