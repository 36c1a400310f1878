"""Learning in the frequency space (FreqNet: Tan, Zhao, Wei, Gu, Liu & Wei 2024)."""

from typing import Unpack

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.core.errors import require
from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.small import ResidualBlock


def kept(extent: int) -> Tensor:
    """1 for each frequency (extent,) of an unshifted FFT outside the quarter to either side of zero, 0 within.

    Of the shifted spectrum that is ``extent // 2 - extent // 4`` to ``extent // 2 + extent // 4``, the end excluded.
    """
    middle, quarter = extent // 2, extent // 4
    shifted = torch.ones(extent)
    shifted[middle - quarter : middle + quarter] = 0
    return torch.fft.ifftshift(shifted)


class PlaneHighPass(nn.Module):
    """Planes without the central block of their spectrum, rectified.

    Of what comes back the authors take the real part. It is that of the mask's even part, under which the spectrum of a
    real plane stays one: half of it is enough.

    Args:
        side: of the planes.
    """

    mask: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        dropped = (1 - kept(side))[:, None] * (1 - kept(side))[None]
        even = (dropped + dropped.flip(0, 1).roll((1, 1), (0, 1))) / 2
        self.register_buffer("mask", (1 - even)[:, : side // 2 + 1].contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """High frequencies (B, C, side, side), fp32, where they are above 0."""
        with torch.autocast(x.device.type, enabled=False):  # the FFT knows no bf16
            return F.relu(torch.fft.irfft2(torch.fft.rfft2(x.float()) * self.mask, s=x.shape[-2:]))


class ChannelHighPass(nn.Module):
    """The same along the channels of each pixel: a fixed matrix of channels.

    Args:
        channels: of the planes.
    """

    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        waves = torch.fft.fft(torch.eye(channels), dim=0)
        matrix = torch.fft.ifft(kept(channels)[:, None] * waves, dim=0).real
        self.register_buffer("matrix", matrix[:, :, None, None].contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of (B, C, H, W)."""
        return F.relu(F.conv2d(x, self.matrix))


class SpectralConvolution(nn.Module):
    """One 1x1 convolution of the spectrum's real part and another of its imaginary part, back in the image; rectified.

    The real part is the spectrum of what is even in a plane (about its first pixel, the plane being periodic), the
    imaginary part that of what is odd. The two can be convolved where they are, without any transform.

    Args:
        channels: of the planes.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.real = nn.Conv2d(channels, channels, 1, bias=False)
        self.imaginary = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of (B, C, H, W)."""
        mirrored = x.flip(-2, -1).roll((1, 1), (-2, -1))
        return F.relu(self.real((x + mirrored) / 2) + self.imaginary((x - mirrored) / 2))


class FrequencyBlock(nn.Module):
    """High-pass of the planes, a 1x1 convolution, high-pass of the channels, a convolution of the spectrum.

    Args:
        inputs: channels that come in.
        outputs: channels that go out.
        side: of the planes that come in.
        across: whether the channels are high-passed.
        stride: of the 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, side: int, *, across: bool, stride: int = 1) -> None:
        super().__init__()
        self.stride, self.high_pass = stride, PlaneHighPass(side)
        self.layers = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            ChannelHighPass(outputs) if across else nn.Identity(),
            SpectralConvolution(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, outputs, H / stride, W / stride), rounded up, of (B, inputs, H, W)."""
        # torch 2.13's own strided 1x1 convolution writes past its memory below 16 channels, channels last.
        return self.layers(self.high_pass(x)[..., :: self.stride, :: self.stride])


class FreqNet(LearnedDetector):
    """Four frequency blocks, a residual stage after the second and after the fourth, mean over the pixels, one logit.

    The paper has stages of three and four bottlenecks of a ResNet-50 and 64 channels; here a stage is one basic block,
    there is no pooling between the second block and its stage, so that 8 pixels are enough, and the 1x1 convolutions
    are batch-normalised, the authors' scale being that of their random weights.

    Args:
        width: channels of the first two blocks; the others have twice as many. A multiple of 4.
        keywords: those of ``LearnedDetector``.
    """

    artefact = "checkerboard"

    def __init__(self, *, width: int, **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
        require(width >= 4 and width % 4 == 0, "width", width, "a multiple of 4 channels")
        half = (self.side + 1) // 2
        self.layers = nn.Sequential(
            FrequencyBlock(self.channels, width, self.side, across=True),
            FrequencyBlock(width, width, self.side, across=True, stride=2),
            ResidualBlock(width, 2 * width, down=False),
            FrequencyBlock(2 * width, 2 * width, half, across=False),
            FrequencyBlock(2 * width, 2 * width, half, across=False, stride=2),
            ResidualBlock(2 * width, 4 * width, down=False),
        )
        self.head = nn.Linear(4 * width, 1)

    def logits(self, images: Tensor) -> Tensor:
        """Logits (B,) of images (B, C, side, side)."""
        return self.head(self.layers(images).mean(dim=(2, 3))).squeeze(1)
