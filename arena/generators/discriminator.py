"""Residual discriminator of the style generator, after Karras et al. 2020 (StyleGAN2)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from arena.generators.layers import LRELU_GAIN, EqualisedConv, EqualisedLinear, channels_at, doublings, lrelu


class ResidualDiscriminator(nn.Module):
    """Map images (B, C, H, W) in [-1, 1] to logits (B,) in fp32, higher for real. Twice differentiable.

    Args:
        resolution: side in pixels, a power of two from 8 to 256.
        channels: 1 or 3.
        width: channels up to 16 pixels, halved with every doubling above.
        group: images over which the minibatch deviation is taken. With 0, the logit of an image is its own.
    """

    def __init__(self, *, resolution: int, channels: int, width: int, group: int = 0) -> None:
        super().__init__()
        sides = [resolution >> k for k in range(doublings(resolution) + 1)]
        widths = [channels_at(side, width) for side in sides]
        self.from_image = EqualisedConv(channels, widths[0], 1, gain=LRELU_GAIN)
        self.blocks = nn.Sequential(*(DiscriminatorBlock(a, b) for a, b in pairwise(widths)))
        self.deviation = MinibatchDeviation(group) if group else nn.Identity()
        self.last = EqualisedConv(widths[-1] + bool(group), widths[-1], 3, gain=LRELU_GAIN)
        self.dense = EqualisedLinear(widths[-1] * 16, widths[-1], gain=LRELU_GAIN)
        self.logit = EqualisedLinear(widths[-1], 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B,)."""
        images = images.clone(memory_format=torch.channels_last)  # a 1x1 kernel would keep the other layout
        x = self.blocks(lrelu(self.from_image(images)))
        x = lrelu(self.last(self.deviation(x)))
        return logits(self.logit, lrelu(self.dense(x.flatten(1))))


class DiscriminatorBlock(nn.Module):
    """Two convolutions and a skip, half the side: (B, inputs, H, W) -> (B, outputs, H/2, W/2).

    The first convolution and its leaky ReLU work at full resolution, so that patterns which alternate from pixel to
    pixel survive the averaging.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # 1/sqrt(2) keeps the second moment of the sum, 1/4 turns a sum of four pixels into their mean. Both are free
        # as part of the weights.
        self.first = EqualisedConv(inputs, inputs, 3, gain=LRELU_GAIN)
        self.second = EqualisedConv(inputs, outputs, 3, gain=LRELU_GAIN / math.sqrt(2) / 4)
        self.skip = EqualisedConv(inputs, outputs, 1, gain=1 / math.sqrt(2) / 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Halve the side."""
        y = lrelu(self.second(sum_of_four(lrelu(self.first(x)))))
        return y + self.skip(sum_of_four(x))


def sum_of_four(x: Tensor) -> Tensor:
    """Sum every 2 x 2 pixels: (B, C, H, W) -> (B, C, H/2, W/2), stored channels last.

    This is average pooling up to a factor. Forward and backward take a third of torch's time on a CPU.
    """
    x = x.permute(0, 2, 3, 1)
    even, odd = x.unflatten(1, (-1, 2)).unbind(2)
    even, odd = (even + odd).unflatten(2, (-1, 2)).unbind(3)
    return (even + odd).permute(0, 3, 1, 2)


class MinibatchDeviation(nn.Module):
    """Append one channel: the deviation over a group of images, averaged over all places (Karras et al. 2018, sec. 3).

    The logit of an image then depends on its batch mates, so only the GAN's own discriminator may use this layer.
    Groups are neighbours in the batch. If the number of reals is a multiple of the group, a batch of reals followed
    by fakes has no mixed group. For other batch sizes the group is the greatest common divisor.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, C + 1, H, W)."""
        group = math.gcd(len(x), self.group)
        deviation = x.float().unflatten(0, (-1, group)).var(1, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))
        channel = deviation.repeat_interleave(group)[:, None, None, None]
        return torch.cat([x, channel.to(x.dtype).expand(-1, 1, *x.shape[2:])], dim=1)


def logits(head: nn.Module, features: Tensor) -> Tensor:
    """Map features (B, n) to logits (B,) by the last layer of a discriminator, in fp32: bf16 is too coarse."""
    with torch.autocast(features.device.type, enabled=False):
        return head(features.float()).squeeze(1)
