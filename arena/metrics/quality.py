"""Measure quality, variety and memorisation of a set of images in one feature space."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from arena.metrics.distances import SquaredDistance, enough_images, extrapolated_frechet_distance, kernel_distance
from arena.metrics.features.space import CPU, FeatureSpace
from arena.metrics.memorisation import memorisation
from arena.metrics.neighbours import precision_recall
from arena.records.schema import Quality


class QualityMeter:
    """Measure sets of images beside the same reals, whose features are computed once.

    The space is fitted on as many images of ``reference`` as of ``train``. A space fitted on the reference alone would
    place it apart from all other images, and images that copy nothing would seem to copy ``train``.

    Args:
        space: the feature space.
        reference: uint8 (N, C, H, W) reals that trained neither the generator nor a detector.
        train: uint8 (M, C, H, W) training images of the generator.
        n: most images of either side for distances and neighbours.
        seed: seed of the subsets of reals and of the extrapolation.
        device: device of a large feature network.
    """

    def __init__(
        self, space: FeatureSpace, reference: Tensor, train: Tensor, n: int, seed: int, device: torch.device = CPU
    ) -> None:
        self.n, self.seed = min(n, len(reference)), seed
        rng, size = np.random.default_rng(seed), min(len(reference), len(train))
        compared, trained = (torch.from_numpy(rng.permutation(len(images))[:size]) for images in (reference, train))
        self.features = space.fit(torch.cat([reference[compared], train[trained]]), device)
        self._reference = self.features(reference)
        self._compared, self._train = self._reference[compared], self.features(train[trained])

    def quality(self, images: Tensor) -> Quality:
        """Return every figure of uint8 images (N, C, H, W). Only memorisation uses more than ``n`` of them.

        Raises:
            ValueError: if there are too few images for nearest neighbours.
        """
        return self.quality_of(self.features(images))

    def quality_of(self, features: NDArray[np.float32]) -> Quality:
        """Return the same of images whose features (N, d) are known."""
        real, fake = self._at_equal_n(features)
        kernel = kernel_distance(real, fake)
        frechet = extrapolated_frechet_distance(real, fake, self.seed) if enough_images(*real.shape) else None
        neighbours = precision_recall(real, fake)
        copied = memorisation(features, self._train, self._compared, self.seed)
        return Quality(
            n=len(real),
            kernel_distance=kernel.value,
            kernel_distance_error=kernel.error,
            frechet_distance=frechet.value if frechet else None,
            frechet_distance_error=frechet.error if frechet else None,
            **neighbours._asdict(),
            memorisation=copied.value,
            memorisation_low=copied.low,
            memorisation_high=copied.high,
        )

    def kernel_distance_of(self, features: NDArray[np.float32]) -> SquaredDistance:
        """Return the kernel distance alone of images whose features (N, d) are known."""
        return kernel_distance(*self._at_equal_n(features))

    def _at_equal_n(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        n = min(self.n, len(features))
        return self._reference[:n], features[:n]
