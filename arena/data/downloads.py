"""Download the face sets of scikit-learn (Olivetti, LFW) when a config names them."""

import io
import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import sklearn.datasets
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import get_data_home

from arena.core.errors import ArenaError, require
from arena.data.files import Cached, Decoded, cached, decode_all, decode_files, tell, with_skipped
from arena.data.reals import RealData, Reals

# Seconds without an answer after which a server counts as out of reach.
PATIENCE = 15.0

T = TypeVar("T")

log = logging.getLogger(__name__)


def fetched(name: str, fetch: Callable[[], T], by_hand: str) -> T:
    """What a fetcher of scikit-learn returns.

    The fetchers download what is not in scikit-learn's data folder and refuse a download whose SHA-256 is not the one
    they know. What they find there already they take for their own work of an earlier day, unchecked.

    Args:
        name: of the data set.
        fetch: calls the fetcher, told to retry no more than it must.
        by_hand: what to do without a network.

    Raises:
        ArenaError: where it cannot be fetched; one line that says why, and what to do by hand.
    """
    log.info("data=%s: asking scikit-learn, which downloads what it does not have", name)
    # The fetchers print, and warn of each retry: nothing the line of a failure does not say.
    with warnings.catch_warnings(record=True) as heard, redirect_stdout(io.StringIO()), _impatient():
        warnings.simplefilter("always")
        try:
            return fetch()
        except Exception as failure:  # of network, disk or archive: each library raises its own
            # But a file put there by hand that is not the one expected is warned of, and then downloaded anew.
            other = [str(warning.message) for warning in heard if "SHA256" in str(warning.message)]
            reason = " ".join([*other, str(failure) or type(failure).__name__])
            raise ArenaError(
                f"data={name}: expected in {data_home()}, and it cannot be downloaded "
                f"({' '.join(reason.split())}); by hand: {by_hand}"
            ) from failure


def data_home() -> Path:
    """The folder scikit-learn keeps its downloads in, made where it is not there.

    Raises:
        ArenaError: where it cannot be made.
    """
    try:
        return Path(get_data_home())
    except OSError as failure:
        key = "SCIKIT_LEARN_DATA"
        raise ArenaError(
            f"{key}={os.environ.get(key)}: expected a folder that can be written to ({failure})"
        ) from failure


@contextmanager
def _impatient() -> Iterator[None]:
    """Give up on a server that does not answer; the fetchers themselves would wait as long as the system does."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


# Part of the cache's name: raise it whenever the same photographs would give other pixels.
OLIVETTI_VERSION = 1
OLIVETTI_ORIGINAL = "https://ndownloader.figshare.com/files/5976027"
"""Where scikit-learn has it from."""


class Olivetti(RealData):
    """Grey photographs of 64x64 pixels, ten of each person, whom the split keeps together.

    Downloaded by scikit-learn when first asked for, then cached. The faces are the 8-bit levels of the file,
    less its darkest: 243 of the 256.

    Args:
        resolution: side in pixels; other than 64, resized with an antialiasing filter.
        seed: ``data.seed``, which splits.
        planted_amplitude: peak amplitude, in grey levels, of the artefact a fit judge must catch.
        cache_dir: where the images are kept.
    """

    name = "olivetti"

    def __init__(self, *, resolution: int, seed: int, planted_amplitude: float, cache_dir: str | Path) -> None:
        super().__init__(resolution=resolution, channels=1, levels=256, seed=seed, planted_amplitude=planted_amplitude)
        self.cache_dir = Path(cache_dir).expanduser()

    def load(self) -> Reals:
        """All 400 images and who each shows.

        Raises:
            ArenaError: where they are neither cached nor to be downloaded.
        """
        content = cached(self.cache_dir / f"olivetti-v{OLIVETTI_VERSION}-{self.resolution}px.safetensors", self._fetch)
        tell(content, self.resolution)
        images, persons = content.tensors["images"], content.tensors["persons"]
        return Reals(images, np.arange(len(images), dtype=np.int64), persons=persons.numpy())

    def _fetch(self) -> Cached:
        # The download's SHA-256 is checked. scikit-learn keeps it as a pickle in the user's own data folder and reads
        # that the next time; here it is asked only until this cache, which is no pickle, is filled.
        faces: Any = fetched(
            "olivetti",
            lambda: sklearn.datasets.fetch_olivetti_faces(n_retries=1, delay=0.1),
            by_hand=f"save {OLIVETTI_ORIGINAL} as {data_home() / 'olivettifaces.mat'}",
        )
        photographs = [Image.fromarray(face) for face in grey_levels(np.asarray(faces.images))]
        decoding = decode_all(photographs, self.resolution, channels=1)
        persons = torch.from_numpy(np.asarray(faces.target, dtype=np.int64))
        return with_skipped(decoding, [f"face {k}" for k in range(len(photographs))], persons=persons)


def grey_levels(faces: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The 8-bit levels of faces that scikit-learn has spread over [0, 1]: uint8 of the same shape.

    It subtracts the darkest level of all and divides by the brightest that is left, which makes the faces k/242 and not
    k/255. The divisor is the largest that leaves whole numbers; the levels are then as far apart as in the file.
    """
    values = np.unique(faces).astype(np.float64)
    whole = (n for n in range(255, 0, -1) if np.abs(values * n - np.rint(values * n)).max() < 1e-3)
    return np.rint(faces * next(whole, 255)).astype(np.uint8)


PHOTOGRAPHS = 13_233
LFW_ORIGINAL = "https://ndownloader.figshare.com/files/5976015"
"""Where scikit-learn has the archive from."""


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
    return f"unpack {LFW_ORIGINAL} (lfw-funneled.tgz) as {_folder()}"
