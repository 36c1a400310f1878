"""Images that a generator changes after the fact: those of a folder, or of the frozen generator of a run."""

import hashlib
import json
import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Self, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor, nn

from arena.config.instantiate import SHAPE, instantiate
from arena.config.saved import read_config
from arena.config.trust import config_node
from arena.core.errors import ArenaError, require
from arena.core.files import file_hash
from arena.core.seeding import derive_seed
from arena.data.files import DecodedFiles, decode_folder
from arena.data.split import FEWEST
from arena.generators.base import Generator, TrainableGenerator
from arena.generators.controls import deal
from arena.imaging.images import ImageShape, to_float
from arena.outside.programs import load_weights
from arena.records.integrity import check_files
from arena.records.layout import RunLayout

# Smallest useful banks; the same minima hold for the reals.
FEWEST_OF_BANK = {"train": FEWEST["detector"], "validation": 8, "test": FEWEST["judge"]}

log = logging.getLogger(__name__)


class Source(nn.Module, ABC):
    """A frozen source of images: z (B, z_dim) -> images (B, C, H, W) in [-1, 1].

    Args:
        z_dim: size of z.
        finite: whether there are only so many images, so that banks have to be dealt from them.
        run: whose generator makes the images, or None.
    """

    def __init__(self, z_dim: int, finite: bool, run: Path | None) -> None:
        super().__init__()
        self.z_dim, self.finite, self.run = z_dim, finite, run

    @abstractmethod
    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z, as ``TrainableGenerator.forward`` does."""

    @abstractmethod
    def latents(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return z of banks, as ``TrainableGenerator.latents`` does."""

    @abstractmethod
    def banks(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return the images of banks: name -> (n, C, H, W) in [-1, 1] on the CPU."""

    @abstractmethod
    def files(self) -> list[Path] | None:
        """Return the image files, or None without files."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of all that determines the images."""

    @abstractmethod
    def check(self, counts: Mapping[str, int]) -> None:
        """Raise ``ArenaError`` if there are too few images for banks of these sizes."""


class ChangedImages(Generator):
    """A generator that changes the images of a source, which answers for their number, origin and files."""

    source: Source

    @property
    def finite(self) -> bool:
        """True for the images of a folder."""
        return self.source.finite

    @property
    def origin(self) -> Path | None:
        """The run whose generator makes the images, or None."""
        return self.source.run

    def files(self) -> list[Path] | None:
        """Return the files of the images before the change, or None without files."""
        return self.source.files()

    def fingerprint(self) -> str:
        """Return the hash of the images of a folder, or of the generator of a run."""
        return self.source.fingerprint()

    def check(self, counts: Mapping[str, int]) -> None:
        """Raise ``ArenaError`` if there are too few images to train and test judges."""
        self.source.check(counts)


def image_source(
    path: str | Path | None, run: str | Path | None, cache_dir: str | Path, **shape: Unpack[ImageShape]
) -> Source:
    """Return the source that ``generator.path`` or ``generator.run`` names.

    Raises:
        ArenaError: unless exactly one of them does.
    """
    expected = f"a folder of images, or null and a run in generator.run{', not both' if run else ''}"
    require((path is None) != (run is None), "generator.path", path or "null", expected)
    return FolderImages(path, cache_dir, **shape) if run is None else RunImages(run, **shape)


class FolderImages(Source):
    """The images of a folder and its subfolders, decoded, cropped and resized as by ``data=folder``.

    Images with the same pixels count once. z (B, 1) chooses the image whose number is the share of a standard normal
    distribution below z, times the number of images. Standard normal z therefore choose all images equally often.

    Args:
        path: the folder.
        cache_dir: folder for decoded images.
        shape: see ``ImageShape``.
    """

    def __init__(self, path: str | Path | None, cache_dir: str | Path, **shape: Unpack[ImageShape]) -> None:
        super().__init__(z_dim=1, finite=True, run=None)
        self.path = path
        self._decoded = _distinct_images(path, shape["resolution"], shape["channels"], cache_dir)

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        """Return the source itself, since it never changes and may be large."""
        return self

    def __len__(self) -> int:
        return len(self._decoded.images)

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return the image that each z chooses, on the device of z."""
        place = torch.special.ndtr(z[:, 0].double()).mul(len(self)).long().clamp(max=len(self) - 1)
        return to_float(self._decoded.images[place.cpu()]).to(z.device)

    def latents(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return z that choose the images of disjoint banks. If images run out, all banks shrink in proportion."""
        middles = {name: (torch.from_numpy(part) + 0.5) / len(self) for name, part in self._dealt(counts, seed).items()}
        return {name: torch.special.ndtri(middle)[:, None].float() for name, middle in middles.items()}

    def banks(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return disjoint banks. If images run out, all of them shrink in proportion."""
        return {name: to_float(self._decoded.images[part]) for name, part in self._dealt(counts, seed).items()}

    def _dealt(self, counts: Mapping[str, int], seed: int) -> dict[str, NDArray[np.int64]]:
        return deal(np.arange(len(self)), counts, derive_seed(seed, "bank", player="folder"))

    def files(self) -> list[Path]:
        """Return the image files."""
        return self._decoded.files

    def fingerprint(self) -> str:
        """Return the hash of the pixels."""
        return hashlib.sha256(self._decoded.images.numpy().tobytes()).hexdigest()

    def check(self, counts: Mapping[str, int]) -> None:
        """Raise ``ArenaError`` if there are too few images to train and test judges."""
        total = sum(counts.values())
        needed = max(
            math.ceil(min(count, FEWEST_OF_BANK.get(name, 0)) * total / count) for name, count in counts.items()
        )
        if len(self) < needed:
            banks = ", ".join(f"bank.{name}={count}" for name, count in counts.items())
            raise ArenaError(
                f"generator.path={self.path}: {len(self)} different images, expected at least {needed}, to be divided "
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


class RunImages(Source):
    """Images of the last generator of a run, by its averaged weights and without ``generator.matched``.

    A run is data: code from outside of arena has to be allowed by name (``arena.config.trust``).

    Args:
        run: its directory.
        shape: see ``ImageShape``.

    Raises:
        ArenaError: if it trained no generator of arena, or one of images of another shape.
    """

    def __init__(self, run: str | Path, **shape: Unpack[ImageShape]) -> None:
        place = Path(run).expanduser()
        images = read_config(place).get("images")
        require(images == shape, "generator.run", run, f"images {shape}, found {images}")
        node, layout = config_node(place, "generator", TrainableGenerator), RunLayout(place)
        _, weights = layout.at_round(layout.generators(), None, "a generator")
        check_files(place, [weights])
        own: dict[str, None] = {key: None for key in ("matched", "weights") if key in node}
        generator: TrainableGenerator = instantiate(node, "generator", SHAPE, **own)(**shape)
        load_weights(generator, weights, "generator.run")
        super().__init__(generator.z_dim, generator.finite, place)
        self.generator = generator.eval().requires_grad_(False)
        described = json.dumps(OmegaConf.to_container(node), sort_keys=True)
        self._fingerprint = hashlib.sha256(f"{described}|{file_hash([weights])}".encode()).hexdigest()

    def train(self, mode: bool = True) -> Self:
        """Keep the eval mode."""
        return super().train(False)

    def forward(self, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Return images of z. Noise inputs are drawn from ``rng``."""
        return self.generator(z, rng)

    def latents(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return z of banks."""
        return self.generator.latents(counts, seed)

    def banks(self, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
        """Return the banks that the generator forges."""
        return self.generator.sample(counts, seed)

    def files(self) -> list[Path] | None:
        """Return the files behind the images, or None: a network made them."""
        return self.generator.files()

    def fingerprint(self) -> str:
        """Return the hash of the generator's settings and weights."""
        return self._fingerprint

    def check(self, counts: Mapping[str, int]) -> None:
        """Raise ``ArenaError`` if the generator cannot forge such banks."""
        self.generator.check(counts)
