"""The Olivetti faces: 400 photographs of 40 people (AT&T Laboratories Cambridge, 1992-1994; Samaria & Harter 1994)."""

from pathlib import Path
from typing import Any

import numpy as np
import sklearn.datasets
import torch
from numpy.typing import NDArray
from PIL import Image

from arena.data.cache import Cached, cached
from arena.data.decode import decode_all
from arena.data.fetch import data_home, fetched
from arena.data.reals import RealData, Reals
from arena.data.skipped import tell, with_skipped

# Part of the cache's name: raise it whenever the same photographs would give other pixels.
OLIVETTI_VERSION = 1
ORIGINAL = "https://ndownloader.figshare.com/files/5976027"
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
            by_hand=f"save {ORIGINAL} as {data_home() / 'olivettifaces.mat'}",
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
