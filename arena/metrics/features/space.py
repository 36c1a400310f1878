"""What every feature space is: fitted on reference reals, it turns images into points."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Features = Callable[[Tensor], NDArray[np.float32]]
"""A fitted space: uint8 images (N, C, H, W) to features (N, d). An image's features do not hang on the others."""

CPU = torch.device("cpu")


class FeatureSpace(ABC):
    """A space to measure quality, variety and memorisation in. Its distances speak of it alone, so records name it."""

    name: ClassVar[str]

    @abstractmethod
    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """The space as these reals scale it, the same for the same reals.

        Args:
            reference: uint8 (N, C, H, W) reals that trained nothing.
            device: where a large network runs; small ones stay on the CPU, where they are the same everywhere.
        """

    def check(self) -> None:
        """Refuse, before anything is trained, what could not be fitted.

        Raises:
            ArenaError: naming the key and what was expected.
        """
        return None
