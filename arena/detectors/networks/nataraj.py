"""The convolutional network on co-occurrence matrices (Nataraj et al. 2019)."""

from torch import Tensor, nn

WIDTHS = (32, 64, 128)
HIDDEN = 256


class NatarajNetwork(nn.Module):
    """Three times a 3x3 and a 5x5 convolution and a halving by maxima, of 32, 64 and 128 planes; two layers of 256.

    Args:
        channels: of what it looks at.
        side: of it, in cells, at least 8.
    """

    def __init__(self, *, channels: int, side: int) -> None:
        super().__init__()
        convolutions: list[nn.Module] = []
        for before, width in zip((channels, *WIDTHS), WIDTHS, strict=False):
            convolutions += [nn.Conv2d(before, width, 3, padding=1), nn.ReLU()]
            convolutions += [nn.Conv2d(width, width, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*convolutions)
        hidden = [nn.Linear(WIDTHS[-1] * (side // 8) ** 2, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU()]
        self.head = nn.Sequential(nn.Flatten(1), *hidden, nn.Linear(HIDDEN, 1), nn.Flatten(0))

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B,) of (B, channels, side, side)."""
        return self.head(self.convolutions(x))
