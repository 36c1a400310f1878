"""The base class of feature spaces."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Features = Callable[[Tensor], NDArray[np.float32]]
"""A fitted space: uint8 images (N, C, H, W) to features (N, d). Images do not affect each other's features."""

CPU = torch.device("cpu")


class FeatureSpace(ABC):
    """A space to measure quality, variety and memorisation in. Distances of different spaces do not compare."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Fit the space to reals; equal reals give equal spaces.

        Args:
            reference: uint8 (N, C, H, W) reals.
            device: device of a large network. Small networks stay on the CPU, for equal results everywhere.
        """

    def check(self) -> None:
        """Raise an error if the space cannot be fitted, before anything is trained.

        Raises:
            ArenaError: naming the key and the expected value.
        """
        return None
