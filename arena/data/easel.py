"""Where a face is drawn: the frame of each head, and strokes with smooth edges, for a whole batch at once."""

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.data.sitters import Sitters, skin_colour


class Easel:
    """The picture in the making, the frame of reference of each head, and the strokes drawn in it.

    Head coordinates: u to the right and v down, the outline of the head near the unit circle. A feature's place is
    given on the front of the unit sphere and turned with the head.

    Args:
        sitters: the attributes of the B faces.
        size: side of the picture in pixels.
        rng: of what no attribute describes: strands of hair, blotches of skin, folds of cloth.
    """

    def __init__(self, sitters: Sitters, size: int, rng: torch.Generator) -> None:
        self.sitters = sitters
        self.of = {name: scalar(values) for name, values in sitters.columns().items() if values.ndim == 1}
        n = len(sitters.yaw)
        axis = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        self.pixel = 2 / size
        self.light = torch.empty(n, 3, size, size)
        # The finest noise comes last, so that the rest is the same at every resolution.
        self.phase = torch.rand(n, 4, 1, generator=rng) * (2 * math.pi)
        coarse = torch.randn(n, 1, 24, 24, generator=rng)
        self.blotches = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)[:, 0]
        self.grain = torch.randn(n, size, size, generator=rng)
        self._set_head()
        self.skin = linear(skin_colour(sitters))

    def _set_head(self) -> None:
        """The head's coordinates, outline and shading."""
        of, position = self.of, self.sitters.position
        self.head_x, self.head_y = scalar(position[:, 0]), scalar(position[:, 1])
        self.high = of["size"]
        self.wide = of["size"] * of["face_width"]
        cos, sin = of["roll"].cos(), of["roll"].sin()
        dx, dy = self.x - self.head_x, self.y - self.head_y
        u, v = (dx * cos + dy * sin) / self.wide, (dy * cos - dx * sin) / self.high
        below = v.clamp(min=0)
        taper = 1 + of["jaw"] * below * below + 0.06 * below
        self.u, self.v = u, v
        self.across = (u - 0.18 * of["yaw"].sin() * below) / taper  # u with the cheeks brought to the unit circle
        self.radius2 = self.across.square() + v.square()
        self.edge = 0.5 * self.wide / self.pixel  # (radius2 - 1) to a distance in pixels
        self.head_mask = coverage((1 - self.radius2) * self.edge)
        facing = (1 - self.radius2).clamp_(min=0.0).sqrt_()
        light = self.sitters.light
        light_x, light_y = scalar(light[:, 0]), scalar(light[:, 1])
        norm = (light_x**2 + light_y**2 + 1).sqrt()
        lambert = ((self.across * light_x + v * light_y + facing) / norm).clamp_(min=0)
        contrast = of["light_contrast"]
        self.shade = (1 - contrast) * (0.75 + 0.25 * facing) + contrast * 1.35 * lambert

    @cached_property
    def hair(self) -> Tensor:
        """Strands that run from the crown, with a band of gloss: linear colour (B, 3, H, W)."""
        along = self.u / (self.v + 1.9).clamp(min=0.5)
        curl = self.of["hair_curl"]
        strands = (along * 31 + self.phase[:, 0:1] + curl * 3 * self.blotches).sin()
        strands = strands + (along * 67 + self.phase[:, 3:4] + curl * 4 * self.blotches).sin()
        gloss = (1 - ((self.v + 0.72 - 0.2 * self.u.square()) / 0.2).square()).clamp_(min=0) * (1 - curl)
        brightness = (0.9 + 0.22 * strands + 0.08 * self.grain).clamp_(min=0.3)
        return (linear(self.sitters.hair_colour) + 0.05 * gloss[:, None]) * (brightness + 0.3 * gloss)[:, None]

    def on_head(self, across: Tensor | float, down: Tensor | float, out: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Where a point on the front of the head appears: its u and v, and how much the turn narrows what is there."""
        depth = out * (torch.ones(1) - across * across - down * down).clamp(min=0.05).sqrt()
        yaw, pitch = self.of["yaw"], self.of["pitch"]
        u = across * yaw.cos() + depth * yaw.sin() * 0.8
        turned = depth * yaw.cos() - across * yaw.sin()
        v = down * pitch.cos() + depth * pitch.sin() * 0.6
        return u, v, (turned / depth).clamp(0.35, 1.1)

    def ellipse(self, du: Tensor, dv: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
        """Coverage in [0, 1] of an ellipse with half-axes a and b in head units, its edge a pixel wide."""
        inside = 1 - (du / a).square() - (dv / b).square()
        nearer = torch.minimum(a * self.wide, b * self.high)
        return coverage(inside.mul_(0.5 * nearer / self.pixel))

    def bump(self, du: Tensor, dv: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
        """A bump of height 1 that falls off smoothly to the ellipse's edge."""
        return (1 - (du / a).square() - (dv / b).square()).clamp_(min=0).square_()

    def bump_on_head(self, across: float, down: float, a: float, b: float) -> Tensor:
        """A soft ellipse on the front of the head."""
        u, v, squash = self.on_head(across, down)
        return self.bump(self.u - u, self.v - v, a * squash, b)

    def cover(self, mask: Tensor, colour: Tensor) -> None:
        """Lay a colour over the picture where the mask (B, H, W) is 1."""
        self.light.lerp_(colour.expand_as(self.light), mask[:, None])

    def darken(self, amount: Tensor) -> None:
        """Take away a share (B, H, W) of the light."""
        self.light.mul_((1 - amount)[:, None])

    def lighten(self, amount: Tensor) -> None:
        """Add a share (B, H, W) of the light."""
        self.light.mul_((1 + amount)[:, None])


def coverage(distance: Tensor) -> Tensor:
    """How much of a pixel lies inside an edge, in [0, 1], by the signed distance to it in pixels."""
    return distance.add(0.5).clamp_(0, 1)


def over(values: Tensor, threshold: float) -> Tensor:
    """0 below the threshold, 1 above, over a tenth between."""
    return coverage((values - threshold) * 10)


def scalar(values: Tensor) -> Tensor:
    """(B,) to (B, 1, 1)."""
    return values[:, None, None]


def linear(colour: Tensor) -> Tensor:
    """An sRGB colour (B, 3), to linear light (B, 3, 1, 1)."""
    return colour.pow(2.2)[:, :, None, None]
