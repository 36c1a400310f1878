"""The last layer of a generator: exact black and white, with a gradient that reaches pixels beyond them."""

from typing import Literal

from torch import Tensor, nn

from arena.imaging.images import straight_through

Output = Literal["scaled_tanh", "tanh"]
"""Form of the last layer."""
SCALE = 1.15
"""Of ``scaled_tanh``: its slope is 0.28 where it reaches black and white, and no value strays by more than 0.15."""


class OutputLayer(nn.Module):
    """Map any values (B, C, H, W) to images in [-1, 1].

    Many data sets have a mass of pixels at exactly black and white. A generator that cannot make them shows itself in
    its histogram.

    - ``scaled_tanh``: 1.15 tanh, clipped to [-1, 1]. The gradient is everywhere that of 1.15 tanh. A pixel that strayed
      beyond white can therefore be pulled back, and it cannot drift far. The gradient of plain clipping would be 0.
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
        scaled = SCALE * x.tanh()
        return straight_through(scaled, scaled.clamp(-1, 1))
