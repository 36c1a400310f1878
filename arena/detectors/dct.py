"""The log-scaled discrete cosine transform under a linear classifier (Frank, Eisenhofer, Schoenherr et al. 2020)."""

import functools
import math

import torch
from torch import Tensor, nn

from arena.config import require
from arena.detectors.detector import LearnedDetector
from arena.detectors.networks.network import Network
from arena.detectors.shared import shared


def dct_matrix(n: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (n, n): ``D @ x`` transforms a column; equals scipy.fft.dct(norm="ortho")."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi / n * (i + 0.5) * k) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


@shared
def log_dct(images: Tensor, epsilon: float) -> Tensor:
    """Log magnitude (B, C, H, W) of the DCT of images (B, C, H, W), fp32."""
    with torch.autocast(images.device.type, enabled=False):  # a logarithm near 0 has no meaning in bf16
        down, across = (_matrix_on(extent, images.device) for extent in images.shape[-2:])
        return torch.log((down @ images.float() @ across.T).abs() + epsilon)


@functools.lru_cache(maxsize=16)
def _matrix_on(n: int, device: torch.device) -> Tensor:
    return dct_matrix(n).to(device)


class Dct(LearnedDetector):
    """A classifier on the log magnitude of every DCT coefficient of every channel, standardised over the training set.

    Without a network it is linear, and the penalty on its weights is the optimizer's weight decay: the ridge
    regression of the paper. With one it is the paper's small convolutional network.

    Args:
        resolution, channels, levels: of the images.
        epsilon: added to the magnitude before the logarithm. Frank et al. use 1e-12, whose gradient explodes on the
            exact zeros of images with few grey levels; 1e-3 is far below one grey level of 256.
        network: on the coefficients, None for a linear classifier.
        crop: largest side of what it looks at; None: the whole image, as in the paper.
    """

    artefact = "checkerboard"
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        epsilon: float,
        network: Network | None = None,
        crop: int | None = None,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels, crop=crop)
        require(epsilon > 0, "battery.members.dct.epsilon", epsilon, "above 0")
        self.epsilon = epsilon
        self.register_buffer("mean", torch.zeros(channels, self.side, self.side))
        self.register_buffer("deviation", torch.ones(channels, self.side, self.side))
        if network is None:
            linear = nn.Linear(channels * self.side**2, 1)
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
            self.head: nn.Module = nn.Sequential(nn.Flatten(1), linear, nn.Flatten(0))
        else:
            self.head = network(channels=channels, side=self.side)

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Mean and deviation of each coefficient over the training images."""
        features = log_dct(images, self.epsilon)
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp_min(1e-3))

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head((log_dct(images, self.epsilon) - self.mean) / self.deviation)
