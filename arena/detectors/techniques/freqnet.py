"""FreqNet: learning in the frequency domain."""

from typing import Annotated, Unpack

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from arena.detectors.base import Keywords, LearnedDetector
from arena.detectors.networks.small import ResidualBlock


def kept(extent: int) -> Tensor:
    """Mask (extent,) over an unshifted FFT: 0 for a quarter of the frequencies to either side of zero, 1 elsewhere.

    In the shifted spectrum these are ``extent // 2 - extent // 4`` to ``extent // 2 + extent // 4``, the end excluded.
    """
    middle, quarter = extent // 2, extent // 4
    shifted = torch.ones(extent)
    shifted[middle - quarter : middle + quarter] = 0
    return torch.fft.ifftshift(shifted)


class PlaneHighPass(nn.Module):
    """Planes without the central block of their spectrum, rectified.

    The authors take the real part of the inverse transform. It is that of the even part of the mask, under which the
    spectrum of a real plane stays that of a real plane, so that half of it is enough.
    """

    mask: Tensor

    def __init__(self, side: int) -> None:
        super().__init__()
        dropped = (1 - kept(side))[:, None] * (1 - kept(side))[None]
        even = (dropped + dropped.flip(0, 1).roll((1, 1), (0, 1))) / 2
        self.register_buffer("mask", (1 - even)[:, : side // 2 + 1].contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Positive part (B, C, side, side), fp32, of the high frequencies."""
        with torch.autocast(x.device.type, enabled=False):  # the FFT knows no bf16
            return F.relu(torch.fft.irfft2(torch.fft.rfft2(x.float()) * self.mask, s=x.shape[-2:]))


class ChannelHighPass(nn.Module):
    """The same high-pass along the channels of each pixel, as a fixed matrix."""

    matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        waves = torch.fft.fft(torch.eye(channels), dim=0)
        matrix = torch.fft.ifft(kept(channels)[:, None] * waves, dim=0).real
        self.register_buffer("matrix", matrix[:, :, None, None].contiguous(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filtered planes (B, C, H, W) of planes (B, C, H, W)."""
        return F.relu(F.conv2d(x, self.matrix))


class SpectralConvolution(nn.Module):
    """Two 1x1 convolutions, of the real part and of the imaginary part of the spectrum, rectified in the image.

    The real part is the spectrum of the even part of a plane (about its first pixel, the plane being periodic), the
    imaginary part that of the odd part. So both can be convolved in the image, without any transform.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.real = nn.Conv2d(channels, channels, 1, bias=False)
        self.imaginary = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Convolved planes (B, C, H, W) of planes (B, C, H, W)."""
        mirrored = x.flip(-2, -1).roll((1, 1), (-2, -1))
        return F.relu(self.real((x + mirrored) / 2) + self.imaginary((x - mirrored) / 2))


class FrequencyBlock(nn.Module):
    """High-pass of the planes, a 1x1 convolution, high-pass of the channels if ``across``, a spectral convolution."""

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
        """Planes (B, outputs, H / stride, W / stride), rounded up, of planes (B, inputs, H, W)."""
        # torch 2.13's own strided 1x1 convolution writes past its memory below 16 channels, channels last.
        return self.layers(self.high_pass(x)[..., :: self.stride, :: self.stride])


class FreqNet(LearnedDetector):
    """Layers that keep high frequencies alone and convolve the spectrum, so that a network relies on frequencies.

    There are four frequency blocks, a residual stage after the second and after the fourth, and one logit.

    Paper: Tan, Zhao, Wei, Gu, Liu & Wei (2024), "Frequency-aware deepfake detection" (FreqNet).
    Differences: The paper has stages of three and four bottlenecks of a ResNet-50 and 64 channels. Here a stage is one
    basic block, and there is no pooling before the first, so that 8 pixels are enough. The 1x1 convolutions are batch-
    normalised; the authors' scale is that of their random weights.
    Blind spots: Brightness, and all frequencies below half the highest in both axes, where the block of a mask lies.
    Example: ``battery.add=[freqnet]``

    Args:
        width: channels of the first two blocks, a multiple of 4; the others have twice as many.
    """

    artefact = "spectral_peak"

    def __init__(self, *, width: Annotated[int, Field(ge=4, multiple_of=4)], **keywords: Unpack[Keywords]) -> None:
        super().__init__(**keywords)
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
