"""Any image set of the Hugging Face hub by its name, streamed: nothing is fetched beyond the images asked for."""

import hashlib
import json
import logging
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from arena.core.errors import ArenaError, first_line, require
from arena.data.files import Cached, Source, ahead, cached, decode_all, stored_as, tell, with_skipped
from arena.data.reals import RealData, Reals

# Part of the cache's name: raise it whenever the same rows would give other pixels.
HUGGINGFACE_VERSION = 1
# Seconds without an answer after which the hub counts as out of reach.
PATIENCE = 15.0

log = logging.getLogger(__name__)


class HuggingFace(RealData):
    """Images of one split of a hub set, 256 levels, cropped and resized as those of folders are.

    They are downloaded when first asked for, which needs the extra ``hub``, and cached: from then on neither network
    nor extra is needed. Rows that hold no readable image are listed and skipped. Sets that only code of their own can
    read are refused: from the hub comes data alone.

    Args:
        name: of the set, as in ``owner/name``.
        config: its configuration, where it has several.
        split: that is read.
        revision: branch, tag or commit.
        image: column of the images; None: the only column that holds images.
        label: column of an attribute that is known of each image, or None.
        person: column that says who is shown, or None; nobody is then in two parts of the split.
        n: images at most, from the beginning of the split; None: all of it.
        resolution: side in pixels.
        channels: 1 (grey) or 3 (colour).
        seed: ``data.seed``, which splits.
        planted_amplitude: peak amplitude, in grey levels, of the artefact a fit judge must catch.
        cache_dir: where decoded images are kept.

    Raises:
        ArenaError: for a name the hub cannot have, or no image asked for.
    """

    name = "huggingface"

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
        n: int | None,
        resolution: int,
        channels: int,
        seed: int,
        planted_amplitude: float,
        cache_dir: str | Path,
    ) -> None:
        shown = "null" if name is None else name
        possible = re.fullmatch(r"(?!\.)[\w.-]+(/(?!\.)[\w.-]+)?", name or "") is not None
        require(possible, "data.name", shown, "a set of the Hugging Face hub, as in data.name=uoft-cs/cifar10")
        require(channels in (1, 3), "data.channels", channels, "1 or 3")
        require(n is None or n >= 1, "data.n", n, "at least 1 image, or null for all of the split")
        super().__init__(
            resolution=resolution, channels=channels, levels=256, seed=seed, planted_amplitude=planted_amplitude
        )
        self.repository, self.config, self.split_name, self.revision = shown, config, split, revision
        self.image, self.label, self.person, self.n = image, label, person, n
        what = (HUGGINGFACE_VERSION, name, config, split, revision, image, label, person, n, resolution, channels)
        key = hashlib.blake2b(json.dumps(what).encode(), digest_size=12).hexdigest()
        self.cache_file = Path(cache_dir).expanduser() / f"huggingface-{shown.replace('/', '--')}-{key}.safetensors"

    def load(self) -> Reals:
        """The images, in the order of the split; the label, as a number, is an attribute named as its column.

        Raises:
            ArenaError: where they are neither cached nor to be had from the hub, or what is there does not fit.
        """
        tensors = self._content.tensors
        persons = tensors["persons"].numpy() if "persons" in tensors else None
        attributes = {self.label: tensors["labels"].numpy()} if self.label else {}
        return Reals(tensors["images"], np.arange(len(tensors["images"]), dtype=np.int64), attributes, persons)

    @cached_property
    def _content(self) -> Cached:
        content = cached(self.cache_file, self._stream)
        tell(content, self.resolution)
        # There are no files to compare with those of fakes, but the codec's traces in the reals remain (rule 9).
        formats = stored_as(content)
        if jpeg := formats.get("JPEG", 0) + formats.get("MPO", 0):
            log.warning(
                "%d of %d images were stored as JPEG, whose traces the fakes lack unless evidence=jpeg puts them there",
                jpeg,
                len(content.tensors["images"]),
            )
        return content

    def _stream(self) -> Cached:
        rows, image = self._rows()
        log.info("data.name=%s: streaming %s images from the hub, once", self.repository, self.n or "all")
        known: dict[str, list[Any]] = {column: [] for column in (self.label, self.person) if column}

        def read(row: dict[str, Any]) -> tuple[dict[str, Any], Source]:
            return row, _source(row[image], self.repository)

        def sources(pool: Executor) -> Iterator[Source]:
            for row, source in ahead(pool, read, rows):
                for column, values in known.items():
                    values.append(row[column])
                yield source

        try:
            with ThreadPoolExecutor() as readers:
                decoding = decode_all(sources(readers), self.resolution, self.channels, total=self.n)
        except Exception as failure:  # the hub's clients raise errors of a dozen families
            raise self._refusal("expected all of its rows", failure) from failure
        if len(decoding.images) == 0:
            raise ArenaError(f"data.image={image}: expected images, found none in {len(decoding.failures)} rows")
        count = len(decoding.images) + len(decoding.failures)
        kept = [k for k in range(count) if k not in decoding.failures]
        beside: dict[str, Tensor] = {}
        if self.label:
            beside["labels"] = _numbers([known[self.label][k] for k in kept])
        if self.person:
            who = [str(known[self.person][k]) for k in kept]
            beside["persons"] = torch.from_numpy(np.unique(who, return_inverse=True)[1].astype(np.int64))
        return with_skipped(decoding, [f"row {k}" for k in range(count)], **beside)

    def _rows(self) -> tuple[Iterable[dict[str, Any]], str]:
        """The split's rows, of the columns asked for and not decoded yet, and which column holds the images."""
        try:
            import datasets  # pyright: ignore[reportMissingImports]
            from huggingface_hub import HfApi  # pyright: ignore[reportMissingImports]
        except ImportError as failure:
            raise self._refusal("expected it in the cache, or the extra: pip install 'arena-race[hub]'") from failure
        here = Path(self.repository).is_dir()
        require(not here, "data.name", self.repository, "no folder of that name here, which would be read in its stead")
        try:
            # Asked once and directly: whoever is offline should hear it at once, and `datasets` tries for long.
            HfApi().dataset_info(self.repository, revision=self.revision, timeout=PATIENCE)
            rows = datasets.load_dataset(
                self.repository, self.config, split=self.split_name, revision=self.revision, streaming=True
            )
        except Exception as failure:
            raise self._refusal("expected it in the cache or on the hub", failure) from failure
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

    def _refusal(self, expected: str, failure: Exception | None = None) -> ArenaError:
        """One line that says what is missing, and what to do by hand."""
        reason = f", which failed ({first_line(failure)})" if failure else ""
        return ArenaError(
            f"data.name={self.repository}: {expected}{reason}; by hand: unpack its images into a folder for "
            f"data=folder data.path=..., or bring {self.cache_file} from a machine that has it"
        )


def _source(value: Any, repository: str) -> Source:
    """What a row holds, for the decoder: the bytes of a file, or an image that is decoded already.

    Sets of loose files give addresses. They are read here, since the decoder would take a lost connection for an image
    that cannot be read; one that leads out of the set is not followed.
    """
    if isinstance(value, dict):
        address = str(value.get("path"))
        value = value.get("bytes")
        if value is None and address.rpartition("::")[2].startswith(f"hf://datasets/{repository}@"):
            import fsspec

            with fsspec.open(address, "rb") as file:
                value = file.read()  # pyright: ignore[reportAttributeAccessIssue]
    return value if isinstance(value, bytes | Image.Image) else b""  # the decoder says that this is no image


def _numbers(values: list[Any]) -> Tensor:
    """Labels as float32 (N,): numbers as they are, NaN where there is none; names by their place in the alphabet."""
    if all(value is None or isinstance(value, int | float) for value in values):
        return torch.tensor([float("nan") if value is None else float(value) for value in values])
    return torch.from_numpy(np.unique([str(value) for value in values], return_inverse=True)[1].astype(np.float32))
