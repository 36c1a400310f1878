"""Feature space `random`: the last layer of an untrained convolutional network, standardised on reals."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from arena.core.errors import require
from arena.imaging.images import to_float
from arena.metrics.features.space import CPU, Features, FeatureSpace

FEATURE_SEED = 2018
FLOOR = 0.1
"""No deviation counts as less than this share of their average: a feature that the reals hardly stir (in digits, one at
a corner that is always black) would otherwise outweigh all others on an image that does stir it."""
_PIXELS = 1 << 17


def chunks(images: Tensor) -> tuple[Tensor, ...]:
    """Images (N, C, H, W) in batches of as many pixels, so that memory does not grow with them."""
    return images.split(max(1, _PIXELS // (images.shape[-2] * images.shape[-1])))


def random_network(channels: int, resolution: int, width: int) -> nn.Sequential:
    """Untrained convolution, ReLU and average pooling by 2, over and over down to 2x2, the same in every process.

    Args:
        channels: of the images.
        resolution: side in pixels of the images.
        width: channels of the first layer; each halving of the image doubles them, up to 64.
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
    """Mean and deviation (d,) of each feature over the reals."""

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Features (N, d) in deviations from the mean."""
        return (features - self.mean) / self.deviation


def standardisation(features: NDArray[np.float32]) -> Standardisation:
    """That of reals' features (N, d), no deviation below ``FLOOR`` of their average."""
    deviation = features.std(0, ddof=1)
    return Standardisation(features.mean(0), deviation.clip(max(FLOOR * float(deviation.mean()), 1e-6)))


@dataclass(frozen=True)
class RandomFeatures(FeatureSpace):
    """Activations of an untrained convolutional network, standardised by reference reals.

    Random embeddings rank generators without the bias of a network trained on something else (Naeem, Oh, Uh, Choi & Yoo
    2020, section 4.2), but hardly notice what changes the finest detail.

    Args:
        width: channels of the first layer; each halving of the image doubles them, up to 64.
    """

    name: ClassVar[str] = "random"
    width: int = 16

    def __post_init__(self) -> None:
        require(self.width >= 1, "features.width", self.width, "at least 1 channel")

    def fit(self, reference: Tensor, device: torch.device = CPU) -> Features:
        """Standardised by the mean and deviation of the reference."""
        network = random_network(reference.shape[1], reference.shape[-1], self.width)

        @torch.inference_mode()
        def activations(images: Tensor) -> NDArray[np.float32]:
            return torch.cat([network(to_float(chunk)).flatten(1) for chunk in chunks(images)]).numpy()

        scale = standardisation(activations(reference))
        return lambda images: scale(activations(images))
