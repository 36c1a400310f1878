"""The log-scaled discrete cosine transform under a linear classifier (Frank, Eisenhofer, Schoenherr et al. 2020)."""

import math

import torch
from torch import Tensor, nn

from arena.config import require
from arena.detectors.detector import LearnedDetector


def dct_matrix(n: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (n, n): ``D @ x`` transforms a column; equals scipy.fft.dct(norm="ortho")."""
    k, i = torch.arange(n, dtype=torch.float64)[:, None], torch.arange(n, dtype=torch.float64)[None]
    matrix = torch.cos(math.pi / n * (i + 0.5) * k) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    return matrix.float()


class Dct(LearnedDetector):
    """Ridge-like linear classifier on the log magnitude of every DCT coefficient of every channel.

    Each coefficient is standardised by its mean and deviation over the first training set; the penalty on the weights
    is the optimizer's weight decay.

    Args:
        resolution, channels, levels: of the images it sees.
        epsilon: added to the magnitude before the logarithm. Frank et al. use 1e-12, whose gradient explodes on the
            exact zeros of images with few grey levels; 1e-3 is far below one grey level of 256.
    """

    artefact = "checkerboard"
    transform: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, *, resolution: int, channels: int, levels: int, epsilon: float) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(epsilon > 0, "battery.members.dct.epsilon", epsilon, "above 0")
        self.epsilon = epsilon
        self.register_buffer("transform", dct_matrix(resolution), persistent=False)
        self.register_buffer("mean", torch.zeros(channels, resolution, resolution))
        self.register_buffer("deviation", torch.ones(channels, resolution, resolution))
        self.head = nn.Linear(channels * resolution**2, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, images: Tensor) -> Tensor:
        """Log magnitudes (B, C, H, W) of images (B, C, H, W), before standardisation."""
        with torch.autocast(images.device.type, enabled=False):  # a logarithm near 0 has no meaning in bf16
            coefficients = self.transform @ images.float() @ self.transform.T
            return torch.log(coefficients.abs() + self.epsilon)

    @torch.no_grad()
    def prepare(self, images: Tensor) -> None:
        """Mean and deviation of each coefficient over the training images."""
        features = self.features(images)
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp_min(1e-3))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W)."""
        standardised = (self.features(images) - self.mean) / self.deviation
        return self.head(standardised.flatten(1)).squeeze(1)
