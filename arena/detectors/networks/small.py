"""Small networks trained from scratch: a residual one, and those of Frank et al. (2020) and Nataraj et al. (2019)."""

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from arena.detectors.networks.wrappers import Trunk


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


class ResidualTrunk(Trunk):
    """A stem and residual blocks, each of which halves the side down to 4 pixels.

    The stem and the first ``kept`` blocks work at full resolution. Early down-sampling costs a detector most of its
    generalisation (Gragnaniello, Cozzolino, Marra, Poggi & Verdoliva 2021).

    Args:
        channels: of the input.
        side: of the input, in pixels.
        width: channels of the first block. Each halving doubles them, up to four times ``width``.
        kept: blocks that work at full resolution.
        blocks: most blocks; None (default) for all that lead down to 4 pixels and one more.
    """

    def __init__(
        self, *, channels: int, side: int, width: PositiveInt, kept: PositiveInt = 1, blocks: PositiveInt | None = None
    ) -> None:
        super().__init__()
        built = [ResidualBlock(width, width, down=False) for _ in range(kept - 1)]
        inputs, outputs = width, width
        while True:
            built.append(ResidualBlock(inputs, outputs, down=side > 4))
            if side <= 4:
                break
            inputs, outputs, side = outputs, min(2 * outputs, 4 * width), side // 2
        built = built[:blocks]
        self.stem = nn.Conv2d(channels, width, 3, padding=1)
        self.blocks = nn.Sequential(*built)
        self.widths = (width, *(block.first.out_channels for block in built))

    def maps(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps of the stem and of each block."""
        maps = [F.relu(self.stem(x))]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return tuple(maps)


class ResidualNetwork(ResidualTrunk):
    """A ``ResidualTrunk`` with global average pooling and one logit."""

    def __init__(
        self, *, channels: int, side: int, width: PositiveInt, kept: PositiveInt = 1, blocks: PositiveInt | None = None
    ) -> None:
        super().__init__(channels=channels, side=side, width=width, kept=kept, blocks=blocks)
        self.head = nn.Linear(self.widths[-1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of (B, channels, H, W)."""
        return self.head(self.maps(x)[-1].mean(dim=(2, 3))).squeeze(1)


class FrankNetwork(nn.Module):
    """Four 3x3 convolutions of 3, 8, 16 and 32 channels, average pooling after the second and third, and one logit.

    The last layer has a weight for every place: the meaning of a coefficient is its place in the spectrum.
    The side of the input is at least 4 pixels.
    """

    def __init__(self, *, channels: int, side: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels, 3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
        )
        self.head = nn.Linear(32 * (side // 4) ** 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of (B, channels, side, side)."""
        return self.head(self.convolutions(x).flatten(1)).squeeze(1)


class NatarajNetwork(nn.Module):
    """Three stages of a 3x3 and a 5x5 convolution and max pooling, 32, 64 and 128 channels, then two layers of 256.

    The side of the input is at least 8 pixels.
    """

    def __init__(self, *, channels: int, side: int) -> None:
        super().__init__()
        convolutions: list[nn.Module] = []
        for before, width in ((channels, 32), (32, 64), (64, 128)):
            convolutions += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            convolutions += [nn.Conv2d(width, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*convolutions)
        hidden = [nn.Linear(128 * (side // 8) ** 2, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
        self.head = nn.Sequential(nn.Flatten(1), *hidden, nn.Linear(256, 1), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of (B, channels, side, side)."""
        return self.head(self.convolutions(x))
