"""Download the face sets of scikit-learn (Olivetti, LFW) when a config names them."""

import io
import logging
import os
import socket
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar, Unpack

import numpy as np
import sklearn.datasets
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from sklearn.datasets import get_data_home

from arena.core.errors import ArenaError
from arena.data.decoding import CacheEntry, cached, decode_images
from arena.data.files import DecodedFiles, decode_files
from arena.data.reals import DataTerms, RealData, Reals

TIMEOUT = 15.0
"""Seconds without an answer after which a server counts as unreachable."""
OLIVETTI_VERSION = 1
"""Part of the name of the cache. Raise it when the same photographs would give other pixels."""
OLIVETTI_URL = "https://ndownloader.figshare.com/files/5976027"
LFW_URL = "https://ndownloader.figshare.com/files/5976015"
LFW_PHOTOGRAPHS = 13_233

T = TypeVar("T")

log = logging.getLogger(__name__)


def unavailable(setting: str, expected: str, reason: str, by_hand: str) -> ArenaError:
    """Return the error of data that is neither stored here nor can be downloaded.

    Args:
        setting: ``key=value`` that names the data.
        expected: the places where the data was expected.
        reason: the failure, empty if there was none.
        by_hand: instructions to provide the data without a network.
    """
    failure = f", which failed ({reason})" if reason else ""
    return ArenaError(f"{setting}: expected {expected}{failure}; by hand: {by_hand}")


def fetch_from_sklearn(name: str, fetch: Callable[[], T], by_hand: str) -> T:
    """Call a fetcher of scikit-learn, silently and with a timeout.

    The fetchers download data that is missing from scikit-learn's data folder and check the SHA-256 of the download.
    Data that is already there is used unchecked.

    Args:
        name: name of the data set.
        fetch: calls the fetcher with as few retries as possible.
        by_hand: instructions to provide the data without a network.

    Raises:
        ArenaError: if the data cannot be fetched.
    """
    log.info("data=%s: fetched by scikit-learn, which downloads missing files", name)
    before = socket.getdefaulttimeout()
    # The fetchers print, warn of each retry, and wait without limit.
    with warnings.catch_warnings(record=True) as caught, redirect_stdout(io.StringIO()):
        warnings.simplefilter("always")
        socket.setdefaulttimeout(TIMEOUT)
        try:
            return fetch()
        except Exception as failure:  # network, disk and archive libraries raise exceptions of many types
            # A file placed by hand with another hash causes a warning and then a download: the warning is the reason.
            hashes = [str(warning.message) for warning in caught if "SHA256" in str(warning.message)]
            reason = " ".join(" ".join([*hashes, str(failure) or type(failure).__name__]).split())
            raise unavailable(f"data={name}", f"it in {data_home()} or a download", reason, by_hand) from failure
        finally:
            socket.setdefaulttimeout(before)


def data_home() -> Path:
    """Return the folder of scikit-learn's downloads, created if it is missing.

    Raises:
        ArenaError: if it cannot be created.
    """
    try:
        return Path(get_data_home())
    except OSError as failure:
        key = "SCIKIT_LEARN_DATA"
        expected = f"expected a folder that can be written to ({failure})"
        raise ArenaError(f"{key}={os.environ.get(key)}: {expected}") from failure


class Olivetti(RealData):
    """Grey photographs of 64x64 pixels, ten of each of 40 persons (Samaria & Harter 1994).

    Downloaded by scikit-learn on first use, then cached. No person is in two parts of the split. The pixels are the
    8-bit levels of the file minus its darkest level: 243 of the 256.

    Args:
        resolution: side in pixels. If it is not 64, images are resized with an antialiasing filter.
        cache_dir: folder of the cache.
    """

    name = "olivetti"

    def __init__(
        self,
        *,
        resolution: int,
        cache_dir: str | Path,
        **terms: Unpack[DataTerms],
    ) -> None:
        super().__init__(resolution=resolution, channels=1, levels=256, **terms)
        self.cache_dir = Path(cache_dir).expanduser()

    def load(self) -> Reals:
        """Return all 400 images with their persons.

        Raises:
            ArenaError: if they are neither cached nor can be downloaded.
        """
        entry = cached(self.cache_dir / f"olivetti-v{OLIVETTI_VERSION}-{self.resolution}px.safetensors", self._fetch)
        entry.warn(self.resolution)
        images, persons = entry.tensors["images"], entry.tensors["persons"]
        return Reals(images, np.arange(len(images), dtype=np.int64), persons=persons.numpy())

    def _fetch(self) -> CacheEntry:
        # scikit-learn stores the download as a pickle, which is read only until the arena's own cache is filled.
        faces: Any = fetch_from_sklearn(
            "olivetti",
            lambda: sklearn.datasets.fetch_olivetti_faces(n_retries=1, delay=0.1),
            by_hand=f"save {OLIVETTI_URL} as {data_home() / 'olivettifaces.mat'}",
        )
        photographs = [Image.fromarray(face) for face in grey_levels(np.asarray(faces.images))]
        decoding = decode_images(photographs, self.resolution, channels=1)
        persons = torch.from_numpy(np.asarray(faces.target, dtype=np.int64))
        return decoding.cache_entry([f"face {k}" for k in range(len(photographs))], persons=persons)


def grey_levels(faces: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Recover the 8-bit levels of faces that scikit-learn has rescaled to [0, 1]: uint8 of the same shape.

    scikit-learn subtracts the darkest level and divides by the brightest one left, which gives k/242 and not k/255. The
    divisor is the largest one that gives whole numbers.

    >>> grey_levels(np.array([0, 1, 77, 242], dtype=np.float32) / np.float32(242)).tolist()
    [0, 1, 77, 242]
    """
    values = np.unique(faces).astype(np.float64)
    whole = (n for n in range(255, 0, -1) if np.abs(values * n - np.rint(values * n)).max() < 1e-3)
    return np.rint(faces * next(whole, 255)).astype(np.uint8)


class Lfw(RealData):
    """Labeled Faces in the Wild: colour photographs of 250x250 pixels (Huang et al. 2007).

    Downloaded by scikit-learn on first use (about 240 MB). No person is in two parts of the split. The unpacked JPEG
    files are decoded, cropped, resized and cached here, because scikit-learn's loader would hold all photographs as
    floats in 20 GB of memory.

    Args:
        crop: side of the middle square that is kept, 8 to 250 pixels; the rest is background.
        cache_dir: folder of the cache.
    """

    name = "lfw"

    def __init__(
        self,
        *,
        resolution: int,
        crop: Annotated[int, Field(ge=8, le=250)],
        cache_dir: str | Path,
        **terms: Unpack[DataTerms],
    ) -> None:
        super().__init__(resolution=resolution, channels=3, levels=256, **terms)
        self.crop, self.cache_dir = crop, Path(cache_dir).expanduser()

    def load(self) -> Reals:
        """Return the photographs with their persons, in the order of the file names.

        Raises:
            ArenaError: if they are neither there nor can be downloaded.
        """
        names, images = self._decoded.names, self._decoded.images
        persons = np.unique([name.split("/")[0] for name in names], return_inverse=True)[1].astype(np.int64)
        return Reals(images, np.arange(len(images), dtype=np.int64), persons=persons)

    def files(self) -> list[Path]:
        """Return the photographs' files, in the order of their ids."""
        return self._decoded.files

    @cached_property
    def _decoded(self) -> DecodedFiles:
        folder = data_home() / "lfw_home" / "lfw_funneled"
        by_hand = f"unpack {LFW_URL} (lfw-funneled.tgz) as {folder}"

        def fetch() -> None:
            # The fetcher also loads the photographs: here one pixel of those of the one person with over 500.
            pixel = (slice(0, 1), slice(0, 1))
            sklearn.datasets.fetch_lfw_people(
                min_faces_per_person=500, slice_=pixel, resize=1.0, n_retries=1, delay=0.1
            )

        try:
            self.cache_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(self.cache_dir / "lfw.lock"):  # one of several processes downloads and unpacks
                if not folder.is_dir():
                    fetch_from_sklearn("lfw", fetch, by_hand)
        except OSError as failure:
            expected = "expected a folder that can be written to"
            raise ArenaError(f"cache_dir={self.cache_dir}: {expected} ({failure})") from failure
        files = sorted(folder.glob("*/*.jpg"))  # one folder per person
        if not files:
            raise unavailable("data=lfw", f"photographs in {folder}", "", by_hand)
        if len(files) < LFW_PHOTOGRAPHS:
            log.warning("data=lfw: only %d of %d photographs are in %s", len(files), LFW_PHOTOGRAPHS, folder)
        return decode_files(folder, files, self.resolution, 3, self.cache_dir, self.crop)
