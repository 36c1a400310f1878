"""How good are these fakes? Every figure of quality, variety and memorisation of a set of images, in one space."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from arena.imaging.images import to_float, to_uint8
from arena.metrics.features.space import CPU, FeatureSpace
from arena.metrics.frechet import enough_images, extrapolated_frechet_distance
from arena.metrics.kernel_distance import KernelDistance, kernel_distance
from arena.metrics.neighbours import memorisation, precision_recall


class Quality(NamedTuple):
    """Figures of a set of images beside reference reals, each said where it is computed.

    Distances and neighbours are of ``n`` images of either side, and only compare at equal ``n``. The Frechet distance
    and its error are None where ``n`` is too small for as many features.
    """

    n: int
    kernel_distance: float
    kernel_distance_error: float
    frechet_distance: float | None
    frechet_distance_error: float | None
    precision: float
    recall: float
    density: float
    coverage: float
    memorisation: float
    memorisation_low: float
    memorisation_high: float


class QualityMeter:
    """Measures sets of images beside the same reals, whose features are computed once.

    Args:
        space: the feature space, fitted here on as many of ``reference`` as of ``train``: on the former alone, those
            would lie otherwise than all that is new to it, and what copies nothing would seem to copy ``train``.
        reference: uint8 (N, C, H, W) reals that trained nothing.
        train: uint8 (M, C, H, W), what the generator was trained on.
        n: most images of either side that distances and neighbours are taken over.
        seed: of the subsets of an extrapolation, and of the reals the space and memorisation are measured by.
        device: where a large feature network runs.
    """

    def __init__(
        self, space: FeatureSpace, reference: Tensor, train: Tensor, n: int, seed: int, device: torch.device = CPU
    ) -> None:
        self.n, self.seed = min(n, len(reference)), seed
        rng, each = np.random.default_rng(seed), min(len(reference), len(train))
        beside, trained = (torch.from_numpy(rng.permutation(len(images))[:each]) for images in (reference, train))
        self.features = space.fit(torch.cat([reference[beside], train[trained]]), device)
        self._reference = self.features(reference)
        self._beside, self._train = self._reference[beside], self.features(train[trained])

    def quality(self, images: Tensor) -> Quality:
        """Every figure of uint8 images (N, C, H, W), of which memorisation alone takes more than ``n``.

        Raises:
            ValueError: for too few images to have any neighbours.
        """
        features = self.features(images)
        real, fake = self._at_equal_n(features)
        kernel = kernel_distance(real, fake)
        frechet = extrapolated_frechet_distance(real, fake, self.seed) if enough_images(*real.shape) else None
        neighbours = precision_recall(real, fake)
        copied = memorisation(features, self._train, self._beside, self.seed)
        return Quality(
            n=len(real),
            kernel_distance=kernel.value,
            kernel_distance_error=kernel.error,
            frechet_distance=frechet.value if frechet else None,
            frechet_distance_error=frechet.error if frechet else None,
            precision=neighbours.precision,
            recall=neighbours.recall,
            density=neighbours.density,
            coverage=neighbours.coverage,
            memorisation=copied.share,
            memorisation_low=copied.low,
            memorisation_high=copied.high,
        )

    def kernel_distance(self, images: Tensor) -> KernelDistance:
        """Of uint8 images (N, C, H, W), where nothing else is asked."""
        return kernel_distance(*self._at_equal_n(self.features(images[: self.n])))

    def _at_equal_n(self, features: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The first features of the reference and of the images."""
        n = min(self.n, len(features))
        return self._reference[:n], features[:n]


def at_half_resolution(images: Tensor) -> Tensor:
    """uint8 images after losing half their resolution: the yardstick of quality, in images a person can see."""
    x = to_float(images)
    small = F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True, align_corners=False)
    large = F.interpolate(small, size=x.shape[-2:], mode="bilinear", align_corners=False)
    return to_uint8(large)
