"""Parametric faces through a simulated camera: any number of reals with every attribute known."""

import logging
from pathlib import Path
from typing import Literal, Unpack

import numpy as np
import torch
from pydantic import PositiveInt

from arena.core.machine import on_threads
from arena.core.seeding import derive_seed
from arena.data.decoding import CacheEntry, cached, progress_bar
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.camera import Camera
from arena.data.portraits.render import paint_portraits
from arena.data.reals import DataTerms, RealData, Reals

RENDER_VERSION = 1
"""Part of the name of the cache. Raise it when the same seed would give other pixels."""
BLOCK = 32
"""Portraits rendered at once, few enough for a processor's cache. Each block has its own random generators, so that
another size needs another version."""

log = logging.getLogger(__name__)


class Portraits(RealData):
    """Rendered faces, photographed by a simulated camera: 3 channels, 256 levels.

    Portrait i depends only on the rendering seed, the resolution and i. It depends neither on ``data.seed`` nor on the
    number of portraits.

    Args:
        resolution: side in pixels: 8, 16, 32, 64 or 128.
        n: number of portraits.
        render_seed: seed of the faces and of the camera.
        cache_dir: folder of the cache.
    """

    name = "portraits"

    def __init__(
        self,
        *,
        resolution: Literal[8, 16, 32, 64, 128],
        n: PositiveInt,
        render_seed: int,
        cache_dir: str | Path,
        **terms: Unpack[DataTerms],
    ) -> None:
        super().__init__(resolution=resolution, channels=3, levels=256, **terms)
        self.n, self.render_seed, self.cache_dir = n, render_seed, Path(cache_dir).expanduser()

    def load(self) -> Reals:
        """Return every portrait with its attributes, rendered once and then read from the cache."""
        name = f"portraits-v{RENDER_VERSION}-{self.resolution}px-seed{self.render_seed}-n{self.n}.safetensors"
        tensors = cached(self.cache_dir / name, self._render).tensors
        attributes = {name: values.numpy() for name, values in tensors.items() if name != "images"}
        return Reals(tensors["images"], np.arange(self.n, dtype=np.int64), attributes)

    def _render(self) -> CacheEntry:
        log.info("rendering %d portraits of %d pixels, once", self.n, self.resolution)
        images, columns = [], []
        for start in progress_bar(range(0, self.n, BLOCK), "rendering portraits"):
            photographs, faces = render_block(self.resolution, start // BLOCK, self.render_seed)
            images.append(photographs)
            columns.append(faces.columns())
        attributes = {name: torch.cat([block[name] for block in columns])[: self.n] for name in columns[0]}
        return CacheEntry({"images": torch.cat(images)[: self.n], **attributes})


@torch.inference_mode()
def render_block(resolution: int, block: int, render_seed: int) -> tuple[torch.Tensor, FaceAttributes]:
    """Render one block of ``BLOCK`` portraits: uint8 (BLOCK, 3, R, R) and the attributes of the faces.

    Faces are painted at two to four times the resolution. One block shows the same faces at every resolution.
    """
    face_rng, render_rng = (
        torch.Generator().manual_seed(derive_seed(render_seed, purpose, round_index=block))
        for purpose in ("sit", "paint")
    )
    faces = FaceAttributes.draw(BLOCK, face_rng)
    scale = 4 if resolution <= 16 else 2
    camera = Camera(resolution, seed=render_seed)
    # Painting is hundreds of short operations, which several threads on a busy machine would only slow down.
    with on_threads(1):
        return camera.photograph(paint_portraits(faces, scale * resolution, render_rng), render_rng), faces
