"""The discriminator a style generator is trained with: residual blocks, after Karras et al. 2020 (StyleGAN2)."""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from arena.generators.layers import LRELU_GAIN, EqualisedConv, EqualisedLinear, channels_at, doublings, lrelu


class DiscriminatorBlock(nn.Module):
    """Two convolutions and a skip, half the side: (B, inputs, H, W) -> (B, outputs, H/2, W/2).

    The first convolution and its leaky ReLU see full resolution, so that what alternates from pixel to pixel survives
    the averaging after them.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        # 1/sqrt(2) keeps the second moment of the sum, 1/4 makes four pixels' sum a mean; in the weights both are free.
        self.first = EqualisedConv(inputs, inputs, 3, gain=LRELU_GAIN)
        self.second = EqualisedConv(inputs, outputs, 3, gain=LRELU_GAIN / math.sqrt(2) / 4)
        self.skip = EqualisedConv(inputs, outputs, 1, gain=1 / math.sqrt(2) / 4, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Half the side."""
        y = lrelu(self.second(sum_of_four(lrelu(self.first(x)))))
        return y + self.skip(sum_of_four(x))


def sum_of_four(x: Tensor) -> Tensor:
    """The sum of every 2 x 2 pixels, (B, C, H, W) -> (B, C, H/2, W/2), stored channels last.

    Average pooling but for its factor; forward and backward take a third of the time of torch's on a processor.
    """
    x = x.permute(0, 2, 3, 1)
    even, odd = x.unflatten(1, (-1, 2)).unbind(2)
    even, odd = (even + odd).unflatten(2, (-1, 2)).unbind(3)
    return (even + odd).permute(0, 3, 1, 2)


class MinibatchDeviation(nn.Module):
    """Appends one channel: the deviation over a group of images, averaged over everything (Karras et al. 2018, sec. 3).

    An image's logit then depends on its batch mates, which is why only a GAN's own discriminator may have this. Groups
    are neighbours in the batch, so that a batch of reals followed by as many fakes mixes them in none, where the reals
    are a multiple of the group. Of another number of images the group is the largest that divides it.
    """

    def __init__(self, group: int) -> None:
        super().__init__()
        self.group = group

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C + 1, H, W)."""
        group = math.gcd(len(x), self.group)
        deviation = x.float().unflatten(0, (-1, group)).var(1, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))
        channel = deviation.repeat_interleave(group)[:, None, None, None]
        return torch.cat([x, channel.to(x.dtype).expand(-1, 1, *x.shape[2:])], dim=1)


class ResidualDiscriminator(nn.Module):
    """(B, C, H, W) in [-1, 1] -> logits (B,) in fp32, higher means more real. Twice differentiable.

    Args:
        resolution: side in pixels, a power of two from 8 to 256.
        channels: 1 or 3.
        width: channels up to 16 pixels, halved with every doubling above.
        group: images over which the minibatch deviation is taken, or 0 for none: an image's logit is then its own.
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
        """Logits (B,)."""
        images = images.clone(memory_format=torch.channels_last)  # a kernel of one pixel would not ask for it
        x = self.blocks(lrelu(self.from_image(images)))
        x = lrelu(self.last(self.deviation(x)))
        return logits(self.logit, lrelu(self.dense(x.flatten(1))))


def logits(head: nn.Module, features: Tensor) -> Tensor:
    """(B, n) through the last layer of a discriminator to logits (B,) in fp32: bf16 would leave few values for one."""
    with torch.autocast(features.device.type, enabled=False):
        return head(features.float()).squeeze(1)
