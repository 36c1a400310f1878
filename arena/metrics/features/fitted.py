"""Feature space `fitted`, the offline default: principal components of the reals at every scale of a random network."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import PositiveInt
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from arena.imaging.images import to_float
from arena.metrics.features.random import FEATURE_SEED, Standardisation, chunks, random_network
from arena.metrics.features.space import CPU, Features, FeatureSpace

IMAGES_PER_COMPONENT = 8
"""Fewest reals per component, so that covariances stay regular on half of the reals too."""
LEAST_VARIANCE = 1e-4
"""Smallest variance of a component, relative to the first. It keeps directions in which reals do not vary bounded."""


@dataclass(frozen=True)
class FittedFeatures(FeatureSpace):
    """Whitened principal components, fitted on the reals, of statistics of every layer of an untrained network.

    The statistics of a layer are taken in each quarter of the image: the mean of every channel after the ReLU, and its
    root mean square before. Whitening gives fine and coarse detail equal weight, so that small changes of noise or
    sharpness are visible. The length of a feature vector z is bounded by the factor sqrt(2 d / (d + |z|^2)), which is
    about 1 for usual lengths. Without it a few extreme images would outweigh all others, because the cubic kernel grows
    with the sixth power of the length.

    Args:
        components: most components. There is at least one, and at most one per ``IMAGES_PER_COMPONENT`` reals.
        width: channels of the first layer. Each halving of the image doubles them, up to 64.
    """

    name: ClassVar[str] = "fitted"
    components: PositiveInt = 64
    width: PositiveInt = 16

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Fit standardisation, rotation and whitening to the reals."""
        network = random_network(reference.shape[1], reference.shape[-1], self.width)
        raw = layer_statistics(network, reference)
        standardise = Standardisation.fit(raw)
        d = min(self.components, raw.shape[1], max(1, len(raw) // IMAGES_PER_COMPONENT))
        _, singular, axes = randomized_svd(standardise(raw), d, random_state=FEATURE_SEED)
        variance = singular**2 / max(len(raw) - 1, 1)
        whitening = axes.T / np.sqrt(variance.clip(max(LEAST_VARIANCE * float(variance[0]), 1e-6)))

        def features(images: Tensor) -> NDArray[np.float32]:
            white = standardise(layer_statistics(network, images)) @ whitening
            return white * np.sqrt(2.0 * d / (d + (white**2).sum(axis=1, keepdims=True)))

        return features


@torch.inference_mode()
def layer_statistics(network: nn.Sequential, images: Tensor) -> NDArray[np.float32]:
    """Return the statistics (N, s), float32, of every layer of a ``random_network`` on uint8 images (N, C, H, W)."""

    def quarters(x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, 2).flatten(1)

    rows = []
    for chunk in chunks(images):
        x = to_float(chunk)
        columns = [quarters(x)]
        for layer in network:
            x = layer(x)
            if isinstance(layer, nn.Conv2d):
                columns += [quarters(x.relu()), quarters(x.square()).sqrt()]
        rows.append(torch.cat(columns, dim=1))
    return torch.cat(rows).numpy()
