"""scikit-learn's handwritten digits (Alpaydin & Kaynak 1998): 1,797 real images of 8x8 pixels and 17 grey levels."""

from typing import Literal

import numpy as np
import torch
from sklearn.datasets import load_digits

from arena.data.reals import RealData, Reals


class Digits(RealData):
    """The default data: real, installed with scikit-learn, and small enough for a race of minutes.

    Its arguments are those of ``RealData``.
    """

    name = "digits"

    def __init__(self, *, resolution: Literal[8], seed: int, planted_amplitude: float) -> None:
        super().__init__(resolution=resolution, channels=1, levels=17, seed=seed, planted_amplitude=planted_amplitude)

    def load(self) -> Reals:
        """Return the images, their ink levels 0 to 16 spread evenly over 0 to 255; the digit is an attribute."""
        ink, digit = load_digits(return_X_y=True)
        images = np.rint(np.reshape(ink, (-1, 1, 8, 8)) * (255 / 16)).astype(np.uint8)
        attributes = {"digit": np.asarray(digit, dtype=np.float32)}
        return Reals(torch.from_numpy(images), np.arange(len(images), dtype=np.int64), attributes)
