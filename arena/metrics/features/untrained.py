"""Feature spaces of an untrained network, which need no weights: `random`, and the default `fitted`."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import PositiveInt
from sklearn.utils.extmath import randomized_svd
from torch import Tensor, nn

from arena.imaging.images import to_float
from arena.metrics.features.space import CPU, Features, FeatureSpace

FEATURE_SEED = 2018
FLOOR = 0.1
"""Smallest standard deviation of a feature, relative to the mean one. Without it, a feature that is nearly constant on
the reals (in digits, one at a corner that is always black) would dominate on other images."""
CHUNK_PIXELS = 1 << 17
IMAGES_PER_COMPONENT = 8
"""Fewest reals per component, so that covariances stay regular on half of the reals too."""
LEAST_VARIANCE = 1e-4
"""Smallest variance of a component, relative to the first. It keeps directions in which reals do not vary bounded."""


def chunks(images: Tensor) -> tuple[Tensor, ...]:
    """Split images (N, C, H, W) into chunks of at most ``CHUNK_PIXELS`` pixels, to bound the memory."""
    return images.split(max(1, CHUNK_PIXELS // (images.shape[-2] * images.shape[-1])))


def random_network(channels: int, resolution: int, width: int) -> nn.Sequential:
    """Return an untrained network of convolution, ReLU and average pooling by 2, repeated down to 2x2 pixels.

    It has the same weights in every process.

    Args:
        channels: channels of the images.
        resolution: side of the images in pixels.
        width: channels of the first layer. Each halving of the image doubles them, up to 64.
    """
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(FEATURE_SEED)
        outputs = width
        while resolution > 2:
            convolution = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
            nn.init.orthogonal_(convolution.weight, gain=2**0.5)
            layers += [convolution, nn.ReLU(), nn.AvgPool2d(2)]
            channels, outputs, resolution = outputs, min(2 * outputs, 64), resolution // 2
    return nn.Sequential(*layers).eval()


class Standardisation(NamedTuple):
    """Mean and standard deviation (d,) of each feature on the reals, with a floor on the deviation."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @classmethod
    def fit(cls, features: NDArray[np.float32]) -> "Standardisation":
        """Fit to the features (N, d) of reals."""
        deviation = features.std(0, ddof=1)
        return cls(features.mean(0), deviation.clip(max(FLOOR * float(deviation.mean()), 1e-6)))

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardise features (N, d)."""
        return (features - self.mean) / self.deviation


@dataclass(frozen=True)
class RandomFeatures(FeatureSpace):
    """Activations of an untrained convolutional network, standardised on reference reals.

    Random embeddings rank generators without the bias of a pretrained network (Naeem, Oh, Uh, Choi & Yoo 2020, section
    4.2). They are insensitive to changes of the finest detail.

    Args:
        width: channels of the first layer. Each halving of the image doubles them, up to 64.
    """

    name: ClassVar[str] = "random"
    width: PositiveInt = 16

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Standardise by the mean and deviation of the reference."""
        network = random_network(reference.shape[1], reference.shape[-1], self.width)

        @torch.inference_mode()
        def activations(images: Tensor) -> NDArray[np.float32]:
            return torch.cat([network(to_float(chunk)).flatten(1) for chunk in chunks(images)]).numpy()

        standardise = Standardisation.fit(activations(reference))
        return lambda images: standardise(activations(images))


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
