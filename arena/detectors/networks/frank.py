"""The small convolutional network on DCT coefficients (Frank, Eisenhofer, Schoenherr et al. 2020)."""

from torch import Tensor, nn


class FrankNetwork(nn.Module):
    """Four 3x3 convolutions of 3, 8, 16 and 32 planes, halved by averages after the second and the third; one logit.

    Its last layer weighs every place on its own: where in a spectrum something lies is what it means.

    Args:
        channels: of what it looks at.
        side: of it, in pixels, at least 4.
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
