"""Feature space `fitted`, the offline default: what the reals vary in, at every scale of a random network."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from arena.core.errors import require
from arena.imaging.images import to_float
from arena.metrics.features.random import FEATURE_SEED, chunks, random_network, standardisation
from arena.metrics.features.space import CPU, Features, FeatureSpace

IMAGES_PER_COMPONENT = 8
"""Fewest reals a component: covariances of as many features stay regular, on half of the reals too."""
LEAST_VARIANCE = 1e-4
"""Of the first component's: what the reals do not vary in at all is not blown up."""


@dataclass(frozen=True)
class FittedFeatures(FeatureSpace):
    """Whitened principal components, fitted on the reals, of statistics of every layer of an untrained network.

    Of each layer and quarter of the image: the mean of every channel after the ReLU, and its root mean square before,
    the energy of a random filter at that scale. Fine detail so counts as much as coarse, and as little as reals vary in
    it: whitening is what makes a small change of the noise or the sharpness stand out. An image's length is bounded by
    z sqrt(2 d / (d + |z|^2)), which leaves those of usual length as they are: a cubic kernel grows with the sixth power
    of it, and a few monstrous images would outweigh all others.

    Args:
        components: most components; there is at least one and no more than one for ``IMAGES_PER_COMPONENT`` reals.
        width: channels of the network's first layer; each halving of the image doubles them, up to 64.
    """

    name: ClassVar[str] = "fitted"
    components: int = 64
    width: int = 16

    def __post_init__(self) -> None:
        require(self.components >= 1, "features.components", self.components, "at least 1")
        require(self.width >= 1, "features.width", self.width, "at least 1 channel")

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Standardised, rotated and whitened as these reals vary."""
        network = random_network(reference.shape[1], reference.shape[-1], self.width)
        raw = statistics(network, reference)
        scale = standardisation(raw)
        d = min(self.components, raw.shape[1], max(1, len(raw) // IMAGES_PER_COMPONENT))
        _, singular, axes = randomized_svd(scale(raw), d, random_state=FEATURE_SEED)
        variance = singular**2 / max(len(raw) - 1, 1)
        whitening = axes.T / np.sqrt(variance.clip(max(LEAST_VARIANCE * float(variance[0]), 1e-6)))

        def features(images: Tensor) -> NDArray[np.float32]:
            white = scale(statistics(network, images)) @ whitening
            return white * np.sqrt(2.0 * d / (d + (white**2).sum(axis=1, keepdims=True)))

        return features


@torch.inference_mode()
def statistics(network: nn.Sequential, images: Tensor) -> NDArray[np.float32]:
    """Mean after ReLU and root mean square before, (N, s) float32, of each channel, layer and quarter of the image.

    Args:
        network: of ``random_network``.
        images: uint8 (N, C, H, W).
    """
    found = []
    for chunk in chunks(images):
        x = to_float(chunk)
        of_chunk = [_quarters(x)]
        for layer in network:
            x = layer(x)
            if isinstance(layer, nn.Conv2d):
                of_chunk += [_quarters(x.relu()), _quarters(x.square()).sqrt()]
        found.append(torch.cat(of_chunk, dim=1))
    return torch.cat(found).numpy()


def _quarters(x: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(x, 2).flatten(1)
