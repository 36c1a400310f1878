"""Networks from outside, written without the arena."""

import torch
from torch import Tensor, nn

Z_DIM = 6


class Net(nn.Module):
    """z (B, 6) to grey images of 8 pixels in [-1, 1], with batch normalisation."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(Z_DIM, width, 4), nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, 1, 4, 2, 1)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Images."""
        return self.layers(z[:, :, None, None]).tanh()


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(Z_DIM, Z_DIM), nn.Linear(Z_DIM, Z_DIM), nn.Linear(Z_DIM, 64)
        self.second.weight = self.first.weight

    def forward(self, z: Tensor) -> Tensor:
        """Images."""
        return self.last(self.second(self.first(z).relu()).relu()).tanh().reshape(-1, 1, 8, 8)


class Noisy(nn.Module):
    """Draws noise besides z from torch's global stream, as style generators do."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor) -> Tensor:
        """Images with z[:, 0] in the first pixel and noise in all others."""
        images = torch.rand(len(z), 1, 8, 8, device=z.device) * self.scale
        images[:, 0, 0, 0] = z[:, 0].tanh()
        return images


class Bright(nn.Module):
    """Images in [0, 255] whose brightness is a function of z[:, 0]."""

    def forward(self, z: Tensor) -> Tensor:
        """Images."""
        return (255 * z[:, :1].sigmoid())[..., None, None].expand(-1, 1, 8, 8)


class Broken(nn.Module):
    """Images that are not finite."""

    def forward(self, z: Tensor) -> Tensor:
        """Not a number."""
        return torch.full((len(z), 1, 8, 8), torch.nan)


def make(width: int) -> Net:
    """A factory."""
    return Net(width)
