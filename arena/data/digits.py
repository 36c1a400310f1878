"""The UCI set of handwritten digits (Alpaydin & Kaynak 1998): 5,620 real images of 8x8 pixels and 17 grey levels."""

from importlib.resources import files
from typing import Literal, Unpack

import numpy as np
import torch

from arena.data.reals import DataTerms, RealData, Reals


class Digits(RealData):
    """The default data: real, part of the package, and small enough for a race of minutes.

    The set is *Optical Recognition of Handwritten Digits* (doi 10.24432/C50P49, CC BY 4.0). The digits of scikit-learn
    are its last 1,797 images. It names no writers: 43 people wrote it, and all of them may be in every part of the
    split. Intervals therefore speak of these writers, and not of other people's hands.

    Its arguments are those of ``RealData``.
    """

    name = "digits"

    def __init__(self, *, resolution: Literal[8], **terms: Unpack[DataTerms]) -> None:
        super().__init__(resolution=resolution, channels=1, levels=17, **terms)

    def load(self) -> Reals:
        """Return the images, their ink levels 0 to 16 spread evenly over 0 to 255; the digit is an attribute."""
        with (files("arena.data") / "optdigits.npz").open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            ink, digit = arrays["images"], arrays["labels"]
        images = np.rint(ink[:, None] * (255 / 16)).astype(np.uint8)
        return Reals(torch.from_numpy(images), np.arange(len(images)), {"digit": digit.astype(np.float32)})
