"""Stream any image set of the Hugging Face hub by its name; only the requested images are downloaded."""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
import torch
from PIL import Image
from pydantic import PositiveInt
from torch import Tensor

from arena.core.errors import ArenaError, first_line, require
from arena.data.decoding import CacheEntry, Source, cached, decode_images, map_ahead
from arena.data.downloads import TIMEOUT, unavailable
from arena.data.reals import DataTerms, RealData, Reals

HUGGINGFACE_VERSION = 1
"""Part of the name of the cache. Raise it when the same rows would give other pixels."""

log = logging.getLogger(__name__)


class HuggingFace(RealData):
    """Images of one split of a hub set, with 256 levels, cropped and resized as those of ``data=folder``.

    Streamed on first use, which needs the extra ``hub``, and then cached: from the cache neither network nor extra is
    needed. Rows without a readable image are listed and skipped. Sets that need a loading script are refused.

    Args:
        name: name of the set, such as ``owner/name``.
        config: configuration of the set, if it has several.
        split: split to read.
        revision: branch, tag or commit.
        image: column of the images; None takes the only image column.
        label: column of a known attribute, or None.
        person: column that identifies the person, or None. No person is then in two parts of the split.
        n: number of images at most, from the beginning of the split; None takes all.
        channels: 1 (grey) or 3 (colour).
        cache_dir: folder of the cache.

    Raises:
        ArenaError: if the hub cannot have a set of that name.
    """

    name = "huggingface"
    photographs = True

    def __init__(
        self,
        *,
        name: str | None,
        config: str | None,
        split: str,
        revision: str,
        image: str | None,
        label: str | None,
        person: str | None,
        n: PositiveInt | None,
        resolution: int,
        channels: Literal[1, 3],
        cache_dir: str | Path,
        **terms: Unpack[DataTerms],
    ) -> None:
        self.repository = "null" if name is None else name
        possible = re.fullmatch(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?", name or "") is not None
        require(
            possible, "data.name", self.repository, "a set of the Hugging Face hub, as in data.name=uoft-cs/cifar10"
        )
        super().__init__(resolution=resolution, channels=channels, levels=256, **terms)
        self.config, self.split_name, self.revision = config, split, revision
        self.image, self.label, self.person, self.n = image, label, person, n
        content = (HUGGINGFACE_VERSION, name, config, split, revision, image, label, person, n, resolution, channels)
        key = hashlib.blake2b(json.dumps(content).encode(), digest_size=12).hexdigest()
        stem = f"huggingface-{self.repository.replace('/', '--')}-{key}"
        self.cache_file = Path(cache_dir).expanduser() / f"{stem}.safetensors"

    def load(self) -> Reals:
        """Return the images in the order of the split; the label is an attribute named after its column.

        Raises:
            ArenaError: if the images are neither cached nor on the hub, or the columns do not fit.
        """
        tensors = self._entry.tensors
        persons = tensors["persons"].numpy() if "persons" in tensors else None
        attributes = {self.label: tensors["labels"].numpy()} if self.label else {}
        return Reals(tensors["images"], np.arange(len(tensors["images"]), dtype=np.int64), attributes, persons)

    @cached_property
    def _entry(self) -> CacheEntry:
        entry = cached(self.cache_file, self._stream)
        entry.warn(self.resolution)
        # The reals have no files to compare with those of fakes, but they keep the traces of JPEG (rule 9).
        if jpeg := entry.formats.get("JPEG", 0) + entry.formats.get("MPO", 0):
            message = (
                "%d of %d images were stored as JPEG, whose traces the fakes lack; evidence=jpeg gives them to both"
            )
            log.warning(message, jpeg, len(entry.tensors["images"]))
        return entry

    def _stream(self) -> CacheEntry:
        rows, image = self._rows()
        log.info("data.name=%s: streaming %s images from the hub, once", self.repository, self.n or "all")
        columns: dict[str, list[Any]] = {column: [] for column in (self.label, self.person) if column}

        def read(row: dict[str, Any]) -> tuple[dict[str, Any], Source]:
            return row, _source(row[image], self.repository)

        def sources(pool: Executor) -> Iterator[Source]:
            for row, source in map_ahead(pool, read, rows):
                for column, values in columns.items():
                    values.append(row[column])
                yield source

        try:
            with ThreadPoolExecutor() as readers:
                decoding = decode_images(sources(readers), self.resolution, self.channels, total=self.n)
        except Exception as failure:  # the hub's clients raise exceptions of many types
            raise self._unavailable("all of its rows", failure) from failure
        if len(decoding.images) == 0:
            raise ArenaError(f"data.image={image}: expected images, found none in {len(decoding.failures)} rows")
        count = len(decoding.images) + len(decoding.failures)
        usable = [k for k in range(count) if k not in decoding.failures]
        tensors: dict[str, Tensor] = {}
        if self.label:
            tensors["labels"] = _numbers([columns[self.label][k] for k in usable])
        if self.person:
            persons = [str(columns[self.person][k]) for k in usable]
            tensors["persons"] = torch.from_numpy(np.unique(persons, return_inverse=True)[1].astype(np.int64))
        return decoding.cache_entry([f"row {k}" for k in range(count)], **tensors)

    def _rows(self) -> tuple[Iterable[dict[str, Any]], str]:
        """Return the rows of the split with the requested columns, undecoded, and the name of the image column."""
        try:
            import datasets  # pyright: ignore[reportMissingImports]
            from huggingface_hub import HfApi  # pyright: ignore[reportMissingImports]
        except ImportError as failure:
            raise self._unavailable("it in the cache, or the extra: pip install 'arena-race[hub]'") from failure
        local = Path(self.repository).is_dir()
        require(not local, "data.name", self.repository, "no local folder of that name, which would be read instead")
        try:
            # One direct request, so that an offline machine fails at once: `datasets` retries for long.
            HfApi().dataset_info(self.repository, revision=self.revision, timeout=TIMEOUT)
            rows = datasets.load_dataset(
                self.repository, self.config, split=self.split_name, revision=self.revision, streaming=True
            )
        except Exception as failure:
            raise self._unavailable("it in the cache or on the hub", failure) from failure
        features = rows.features or {}
        images = [column for column, feature in features.items() if isinstance(feature, datasets.Image)]
        listed = ", ".join(features) or "its columns, of which it declares none"
        require(self.image in features or len(images) == 1, "data.image", self.image or "null", f"one of {listed}")
        for key, column in (("image", self.image), ("label", self.label), ("person", self.person)):
            require(column is None or column in features, f"data.{key}", column, f"one of {listed}")
        image = self.image or images[0]
        wanted = dict.fromkeys(column for column in (image, self.label, self.person) if column)
        rows = rows.select_columns(list(wanted)).cast_column(image, datasets.Image(decode=False))
        return rows if self.n is None else rows.take(self.n), image

    def _unavailable(self, expected: str, failure: Exception | None = None) -> ArenaError:
        by_hand = "unpack its images into a folder for data=folder data.path=..., "
        by_hand += f"or bring {self.cache_file} from a machine that has it"
        return unavailable(f"data.name={self.repository}", expected, first_line(failure) if failure else "", by_hand)


def _source(value: Any, repository: str) -> Source:
    """Return the content of a row's image column: the bytes of a file, or an opened image.

    Sets of loose files give addresses. They are read here, so that a lost connection is not mistaken for an unreadable
    image. An address outside the set is not read: a row could name a file of this machine or of its network.
    """
    if isinstance(value, dict):
        address = str(value.get("path"))
        value = value.get("bytes")
        if value is None and address.rpartition("::")[2].startswith(f"hf://datasets/{repository}@"):
            import fsspec

            with fsspec.open(address, "rb") as file:
                value = file.read()  # pyright: ignore[reportAttributeAccessIssue]
    return value if isinstance(value, bytes | Image.Image) else b""  # empty bytes count as no image


def _numbers(values: list[Any]) -> Tensor:
    """Return labels as float32 (N,): numbers as they are, missing ones as NaN, names by their alphabetical rank."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return torch.tensor([float("nan") if value is None else float(value) for value in values])
    return torch.from_numpy(np.unique([str(value) for value in values], return_inverse=True)[1].astype(np.float32))
