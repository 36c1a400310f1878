"""The last layer of a generator: exact black and white, with a gradient that pulls strayed pixels back."""

from typing import Any, Literal

import torch
from torch import Tensor, nn

Output = Literal["clip", "scaled_tanh", "tanh"]
"""Form of the last layer."""
SCALE = 1.15
"""Of ``scaled_tanh``: the slope is 0.28 where it reaches black and white, and tanh can stray by 0.15."""


class OutputLayer(nn.Module):
    """Map any values (B, C, H, W) to images in [-1, 1].

    Many data sets have a mass of pixels at exactly black and white. A generator that cannot make them shows itself in
    its histogram.

    - ``clip``: the identity, clipped by ``clip_inward``.
    - ``scaled_tanh``: 1.15 tanh, clipped by ``clip_inward``. Far from [-1, 1] its gradient vanishes like that of tanh.
    - ``tanh``: as in most papers. It reaches neither black nor white.

    Args:
        output: form of the layer.
    """

    def __init__(self, output: Output) -> None:
        super().__init__()
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        """Return images of the shape of ``x``."""
        if self.output == "tanh":
            return x.tanh()
        return clip_inward(SCALE * x.tanh() if self.output == "scaled_tanh" else x)


class _ClipInward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,), (gradient,) = ctx.saved_tensors, gradients
        # A step of descent subtracts the gradient. It leads outward where the gradient's sign is not that of x.
        outward = (x.abs() > 1) & (x * gradient < 0)
        return gradient.masked_fill(outward, 0)


def clip_inward(x: Tensor) -> Tensor:
    """Clip to [-1, 1]. Outside, the gradient passes only where a step against it leads back inside.

    The gradient of plain clipping is 0 outside, and a pixel that strayed would stay there. With a gradient that always
    passes, such a pixel would drift on, since no loss sees where it is.

    >>> x = torch.tensor([2.0, 2.0, 0.5], requires_grad=True)
    >>> clip_inward(x).backward(torch.tensor([1.0, -1.0, -1.0]))
    >>> x.grad
    tensor([ 1.,  0., -1.])
    """
    return _ClipInward.apply(x)
