"""A feature space for quality and memorisation that needs no download: random convolutions, standardised on reals."""

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from arena.images import to_float, to_uint8

FEATURE_SEED = 2018
BATCH = 512
FLOOR = 0.1


class RandomFeatures:
    """Activations of an untrained convolutional network, standardised by reference reals.

    Random embeddings rank generators without the bias of a network trained on something else (Naeem, Oh, Uh, Choi & Yoo
    2020, section 4.2). Distances in this space are never to be called FID or KID.

    Args:
        reference_uint8: (N, C, H, W), the reals whose mean and deviation standardise every feature. No deviation counts
            as less than ``FLOOR`` of their average: a feature that these reals hardly stir (in digits, one at a corner
            that is always black) would otherwise outweigh all others on an image that does stir it.
        width: channels of the first layer; each halving of the image doubles them.
    """

    def __init__(self, reference_uint8: Tensor, width: int = 16) -> None:
        channels, resolution = reference_uint8.shape[1], reference_uint8.shape[-1]
        layers: list[nn.Module] = []
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(FEATURE_SEED)
            outputs = width
            while resolution > 2:
                convolution = nn.Conv2d(channels, outputs, 3, padding=1, bias=False)
                nn.init.orthogonal_(convolution.weight, gain=2**0.5)
                layers += [convolution, nn.ReLU(), nn.AvgPool2d(2)]
                channels, outputs, resolution = outputs, min(2 * outputs, 64), resolution // 2
        self.network = nn.Sequential(*layers).eval()
        raw = self._raw(reference_uint8)
        self.mean, deviation = raw.mean(0), raw.std(0)
        self.deviation = deviation.clamp_min(max(FLOOR * float(deviation.mean()), 1e-6))

    @torch.inference_mode()
    def _raw(self, images_uint8: Tensor) -> Tensor:
        return torch.cat([self.network(to_float(chunk)).flatten(1) for chunk in images_uint8.split(BATCH)])

    def __call__(self, images_uint8: Tensor) -> NDArray:
        """Features (N, d) float32 of uint8 images (N, C, H, W)."""
        return ((self._raw(images_uint8) - self.mean) / self.deviation).numpy()


def at_half_resolution(images_uint8: Tensor) -> Tensor:
    """The images after losing half their resolution: the yardstick of quality, in images a person can see."""
    images = to_float(images_uint8)
    small = F.interpolate(images, scale_factor=0.5, mode="bilinear", antialias=True, align_corners=False)
    large = F.interpolate(small, size=images.shape[-2:], mode="bilinear", align_corners=False)
    return to_uint8(large)
