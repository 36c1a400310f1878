"""Feature space `random`: the last layer of an untrained convolutional network, standardised on reals."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import PositiveInt
from torch import Tensor, nn

from arena.imaging.images import to_float
from arena.metrics.features.space import CPU, Features, FeatureSpace

FEATURE_SEED = 2018
FLOOR = 0.1
"""Smallest standard deviation of a feature, relative to the mean one. Without it, a feature that is nearly constant on
the reals (in digits, one at a corner that is always black) would dominate on other images."""
CHUNK_PIXELS = 1 << 17


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
