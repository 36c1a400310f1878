"""A convolutional network learned on pixels (CNNDetection: Wang, Wang, Zhang, Owens & Efros 2020)."""

import torch.nn.functional as F
from torch import Tensor, nn

from arena.config import require
from arena.detectors.detector import LearnedDetector


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with batch normalisation and a skip (He et al. 2016), pooled to half size if ``down``."""

    def __init__(self, inputs: int, outputs: int, down: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1, bias=False)
        self.down = down

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, outputs, H, W), or half as large, of features (B, inputs, H, W)."""
        y = F.relu(self.first_norm(self.first(x)))
        y = F.relu(self.skip(x) + self.second_norm(self.second(y)))
        return F.avg_pool2d(y, 2) if self.down else y


class Cnn(LearnedDetector):
    """A small residual network without early stride, so that the highest frequencies survive to be judged.

    The full resolution is kept through the stem and the first block (Gragnaniello, Cozzolino, Marra, Poggi & Verdoliva
    2021 found early down-sampling to cost most of a detector's reach), then halved block by block down to 4 pixels.

    Args:
        resolution, channels, levels: of the images it sees.
        width: channels of the first block; each halving doubles them, up to four times ``width``.
    """

    artefact = "checkerboard"

    def __init__(self, *, resolution: int, channels: int, levels: int, width: int) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        require(width >= 1, "battery.members.cnn.width", width, "at least 1 channel")
        blocks: list[nn.Module] = []
        inputs, outputs, side = width, width, resolution
        while True:
            blocks.append(ResidualBlock(inputs, outputs, down=side > 4))
            if side <= 4:
                break
            inputs, outputs, side = outputs, min(2 * outputs, 4 * width), side // 2
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(outputs, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, H, W)."""
        features = self.blocks(F.relu(self.stem(images)))
        return self.head(features.mean(dim=(2, 3))).squeeze(1)
