"""scikit-learn's handwritten digits: 1,797 real 8x8 images of 17 grey levels, in the wheel (Alpaydin & Kaynak 1998)."""

import numpy as np
import torch
from sklearn.datasets import load_digits

from arena.core.errors import ArenaError
from arena.data.reals import RealData, Reals


class Digits(RealData):
    """The embedded default: real, no download, and small enough that a race moves within minutes.

    Raises:
        ArenaError: for any resolution but the 8 pixels the digits have.
    """

    name = "digits"

    def __init__(self, *, resolution: int, seed: int, planted_amplitude: float) -> None:
        if resolution != 8:
            raise ArenaError(f"data.resolution={resolution}: data=digits has 8 pixels and nothing else")
        super().__init__(resolution=8, channels=1, levels=17, seed=seed, planted_amplitude=planted_amplitude)

    def load(self) -> Reals:
        """The 1,797 images, their ink levels 0 to 16 spread evenly over the bytes; the digit is an attribute."""
        ink, digit = load_digits(return_X_y=True)
        images = np.rint(np.reshape(ink, (-1, 1, 8, 8)) * (255 / 16)).astype(np.uint8)
        attributes = {"digit": np.asarray(digit, dtype=np.float32)}
        return Reals(torch.from_numpy(images), np.arange(len(images), dtype=np.int64), attributes)
