"""The error of an autoencoder that knows photographs alone (novelty detection: Japkowicz, Myers & Gluck 1995)."""

from typing import Unpack

import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.wrappers import ErrorHead


class Bottleneck(nn.Module):
    """A convolutional autoencoder: a quarter of the side and ``code`` channels between its halves.

    Args:
        channels: of the images.
        width: channels of the first layer, twice as many at a quarter of the side.
        code: channels of the code, of which there are 16 times fewer places than pixels.
    """

    def __init__(self, *, channels: int, width: int, code: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, code, 1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(code, 2 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(width, channels, 3, padding=1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) as it makes them again."""
        return self.decoder(self.encoder(images))[..., : images.shape[-2], : images.shape[-1]]


class Autoencoder(LearnedDetector):
    """How badly an autoencoder of photographs makes an image again, in every Haar band, and a small head on that.

    The autoencoder learns from reals alone, to make them again with the least absolute error, and hears nothing of the
    labels; the head learns from both classes what an error means. The large autoencoders of diffusion models, by whose
    error AEROBLADE (Ricker, Lukovnikov & Fischer 2024) tells the images that come out of them, work the other way
    round: they make fakes better than photographs. What a GAN makes smoother than a photograph errs less here too.

    Args:
        width: channels of the autoencoder's first layer.
        code: channels of its code.
        hidden: units of the head.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, width: int, code: int, hidden: int, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        for key, value in {"width": width, "code": code, "hidden": hidden}.items():
            require(value >= 1, key, value, "at least 1")
        self.autoencoder = Bottleneck(channels=self.channels, width=width, code=code)
        self.head = ErrorHead(side=self.side, hidden=hidden)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head(images, self.autoencoder(images))

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the head, and mean absolute error on the reals; neither reaches what the other trains."""
        made = self.autoencoder(images)
        of_heads = F.binary_cross_entropy_with_logits(self.head(images, made.detach()).float(), labels)
        errors = (made - images).float().abs().mean((1, 2, 3))
        return of_heads + (errors * (1 - labels)).sum() / (1 - labels).sum().clamp_min(1)
