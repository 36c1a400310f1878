"""Parametric faces through a simulated camera: unlimited reals whose every attribute is known."""

import logging
from pathlib import Path

import numpy as np
import torch

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed
from arena.core.threads import on_threads
from arena.data.files import Cached, cached, progress
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.camera import Camera
from arena.data.portraits.render import paint
from arena.data.reals import RealData, Reals

# Part of the cache's name: raise it whenever the same seed would give other pixels.
RENDER_VERSION = 1
# Portraits drawn at once, so that their planes fit a processor's cache. Random numbers are dealt out by the block, so
# another size is another version.
BLOCK = 32

log = logging.getLogger(__name__)


class Portraits(RealData):
    """Drawn faces, photographed: 3 channels, 256 levels.

    Portrait i depends on the rendering seed, the resolution and i, and on nothing else: not on ``data.seed``, which
    only splits, nor on how many are asked for.

    Args:
        resolution: side in pixels, a power of two from 8 to 128.
        n: how many portraits.
        seed: ``data.seed``, which splits.
        render_seed: of the faces and of the camera.
        planted_amplitude: peak amplitude, in grey levels, of the artefact a fit judge must catch.
        cache_dir: where rendered portraits are kept.

    Raises:
        ArenaError: for a resolution the camera does not have, or fewer than one portrait.
    """

    name = "portraits"

    def __init__(
        self,
        *,
        resolution: int,
        n: int,
        seed: int,
        render_seed: int,
        planted_amplitude: float,
        cache_dir: str | Path,
    ) -> None:
        if resolution not in (8, 16, 32, 64, 128):
            raise ArenaError(f"data.resolution={resolution}: data=portraits has 8, 16, 32, 64 or 128 pixels")
        if n < 1:
            raise ArenaError(f"data.n={n}: expected at least 1 portrait")
        super().__init__(resolution=resolution, channels=3, levels=256, seed=seed, planted_amplitude=planted_amplitude)
        self.n, self.render_seed, self.cache_dir = n, render_seed, Path(cache_dir).expanduser()

    def load(self) -> Reals:
        """Every portrait with its attributes, rendered by whoever comes first."""
        name = f"portraits-v{RENDER_VERSION}-{self.resolution}px-seed{self.render_seed}-n{self.n}.safetensors"
        content = cached(self.cache_dir / name, self._render).tensors
        attributes = {name: values.numpy() for name, values in content.items() if name != "images"}
        return Reals(content["images"], np.arange(self.n, dtype=np.int64), attributes)

    def _render(self) -> Cached:
        log.info("rendering %d portraits of %d pixels, once", self.n, self.resolution)
        images, sitters = [], []
        for start in progress(range(0, self.n, BLOCK), "rendering portraits"):
            photographs, block = render(self.resolution, start // BLOCK, self.render_seed)
            images.append(photographs)
            sitters.append(block.columns())
        attributes = {name: torch.cat([block[name] for block in sitters])[: self.n] for name in sitters[0]}
        return Cached({"images": torch.cat(images)[: self.n], **attributes})


@torch.inference_mode()
def render(resolution: int, block: int, render_seed: int) -> tuple[torch.Tensor, FaceAttributes]:
    """Draw and photograph one block of ``BLOCK`` portraits: uint8 (BLOCK, 3, R, R) and who they are.

    Faces are drawn at two to four times the resolution. The same block at another resolution shows the same sitters.
    """
    who, how = (
        torch.Generator().manual_seed(derive_seed(render_seed, purpose, round_index=block))
        for purpose in ("sit", "paint")
    )
    sitters = FaceAttributes.draw(BLOCK, who)
    scale = 4 if resolution <= 16 else 2
    camera = Camera(resolution, seed=render_seed)
    # Drawing is hundreds of short operations: on a busy machine, threads that wait for each other are far slower.
    with on_threads(1):
        return camera.photograph(paint(sitters, scale * resolution, how), how), sitters
