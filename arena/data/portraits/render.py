"""Render a parametric face: an antialiased raster, the parts of a face, and the whole portrait."""

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.data.portraits.attributes import FaceAttributes, skin_colour


class Raster:
    """The picture in the making, the frame of reference of each head, and the strokes drawn in it.

    Head coordinates: u to the right and v down, the outline of the head near the unit circle. A feature's place is
    given on the front of the unit sphere and turned with the head.

    Args:
        sitters: the attributes of the B faces.
        size: side of the picture in pixels.
        rng: of what no attribute describes: strands of hair, blotches of skin, folds of cloth.
    """

    def __init__(self, sitters: FaceAttributes, size: int, rng: torch.Generator) -> None:
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


SIDES = (-1, 1)


def mouth(easel: Raster) -> None:
    """Lips, and teeth where it is open; the corners rise with a smile."""
    of = easel.of
    u, v, squash = easel.on_head(0.0, 0.53)
    half = 0.30 * of["mouth_width"] * squash * (1 + 0.1 * of["smile"])
    du = easel.u - u
    dv = easel.v - v + 0.11 * of["smile"] * ((du / half).square() - 0.4)
    rosy = easel.skin * torch.tensor([0.78, 0.45, 0.45])[:, None, None]
    red = torch.tensor([0.45, 0.02, 0.04])[:, None, None]
    lips = torch.lerp(rosy, red, scalar(easel.sitters.lip_colour)[:, None] * 0.8) * easel.shade[:, None]
    opened = 0.10 * of["mouth_open"]
    full = 0.075 * of["lips"]
    easel.cover(easel.ellipse(du, dv, half, full + opened), lips)
    easel.cover(easel.ellipse(du, dv + 0.8 * full + opened, half * 0.9, full * 0.6) * 0.35, lips * 0.6)
    inside = easel.ellipse(du, dv, half * 0.82, 0.018 + opened)
    easel.cover(inside, torch.tensor([0.06, 0.01, 0.01])[:, None, None])
    teeth = inside * coverage((opened * 0.45 - dv) * easel.high / easel.pixel) * over(of["mouth_open"], 0.25)
    easel.cover(teeth, 0.75 * easel.shade[:, None])


def beard(easel: Raster) -> None:
    """Stubble to full beard, over jaw and lip, never over the mouth."""
    of = easel.of
    u, v, squash = easel.on_head(0.0, 0.53)
    jaw = ((easel.radius2 - 0.38) * 4).clamp_(0, 1) * ((easel.v - 0.12) * 3).clamp_(0, 1)
    lip = easel.ellipse(easel.u - u, easel.v - v + 0.17, 0.34 * squash, 0.075)
    chin = easel.ellipse(easel.u - u, easel.v - v - 0.33, 0.3, 0.2)
    mask = torch.maximum(torch.maximum(jaw, lip), chin) * easel.head_mask
    mouth = easel.ellipse(easel.u - u, easel.v - v, 0.3 * squash, 0.1 + 0.1 * of["mouth_open"])
    mask = mask * (1 - mouth) * of["beard"] * (0.85 + 0.2 * easel.grain).clamp(0, 1)
    easel.cover(mask, easel.hair * 0.8)


def nose(easel: Raster) -> None:
    """Bridge, tip, wings and nostrils; it stands out from the head, so it turns further."""
    of = easel.of
    length = 0.27 * of["nose_length"]
    u, v, squash = easel.on_head(0.0, length, out=1.22)
    root_u, _, _ = easel.on_head(0.0, -0.1, out=1.05)
    width = 0.15 * of["nose_width"]
    lit = scalar(easel.sitters.light[:, 0]).clamp(-1, 1)
    down = ((easel.v + 0.1) / (v + 0.1)).clamp(0, 1)
    ridge = root_u + (u - root_u) * down  # u of the ridge at this height
    du = easel.u - ridge
    span = width * (0.45 + 0.55 * down)
    within = ((easel.v + 0.16) * 6).clamp_(0, 1) * ((v + 0.06 - easel.v) * 9).clamp_(0, 1)
    flank = (1 - ((du.abs() - span).abs() / (0.8 * span))).clamp_(min=0) * within
    away = (0.5 - 0.5 * torch.sign(du) * lit + 0.7 * of["yaw"].sin() * torch.sign(du)).clamp(0, 1)
    easel.darken(flank * away * 0.55)
    easel.lighten((1 - du.abs() / (0.7 * span)).clamp_(min=0) * within * 0.28)
    easel.darken(easel.bump(easel.u - u, easel.v - v - 0.10, width * 1.25, 0.09) * 0.5)
    for side in SIDES:
        nostril = easel.ellipse(easel.u - u - side * 0.5 * width * squash, easel.v - v - 0.055, 0.35 * width, 0.035)
        easel.darken(nostril * 0.75)
    easel.lighten(easel.bump(easel.u - u + 0.02 * lit, easel.v - v + 0.02, width * 0.7, 0.09) * 0.3)


def eyes(easel: Raster) -> None:
    """On each side: lids, white, iris, pupil and the light's reflection."""
    of, gaze = easel.of, easel.sitters.gaze
    for side in SIDES:
        u, v, squash = easel.on_head(side * of["eye_distance"], -0.05)
        wide, high = 0.205 * of["eye_size"] * squash, 0.095 * of["eye_size"] * of["eye_open"]
        du, dv = easel.u - u, easel.v - v
        easel.darken(easel.ellipse(du, dv + 0.03, wide * 1.2, high * 1.35) * 0.8)
        white = easel.ellipse(du, dv - 0.01, wide, high)
        easel.cover(white, torch.tensor([0.50, 0.46, 0.44])[:, None, None] * (0.2 + 0.7 * easel.shade)[:, None])
        iris_u = du - 0.07 * scalar(gaze[:, 0]) * squash - 0.05 * of["yaw"].sin()
        iris_v = dv - 0.02 * scalar(gaze[:, 1])
        size = 0.135 * of["eye_size"]
        aspect = easel.wide / easel.high
        iris = easel.ellipse(iris_u, iris_v, size * (0.4 + 0.6 * squash), size * aspect) * white
        easel.cover(iris, linear(easel.sitters.eye_colour) * 0.8)
        easel.cover(easel.ellipse(iris_u, iris_v, size * 0.42, size * 0.42 * aspect) * white, torch.zeros(3, 1, 1))
        lit = scalar(easel.sitters.light[:, 0]).clamp(-1, 1)
        glint = easel.ellipse(iris_u - 0.045 * lit, iris_v + 0.03, 0.028, 0.028 * aspect) * white
        easel.cover(glint * 0.9, torch.ones(3, 1, 1))


def brows(easel: Raster) -> None:
    """An arch of hair above each eye."""
    of = easel.of
    for side in SIDES:
        u, v, squash = easel.on_head(side * (of["eye_distance"] + 0.02), -0.27)
        du = (easel.u - u) / squash
        dv = easel.v - v - of["brow_tilt"] * side * du - 0.9 * du.square()
        mask = easel.ellipse(du, dv + 0.02, 0.25, 0.05 * of["brow"]) * easel.head_mask
        easel.cover(mask * 0.8, easel.hair * 0.6)


def spectacles(easel: Raster) -> None:
    """Dark rims, a bridge and a faint reflection."""
    worn = easel.of["glasses"]
    frame = torch.zeros_like(easel.u)
    for side in SIDES:
        u, v, squash = easel.on_head(side * easel.of["eye_distance"], -0.02, out=1.08)
        du, dv = easel.u - u, easel.v - v
        rim = easel.ellipse(du, dv, 0.33 * squash, 0.22)
        glass = easel.ellipse(du, dv, 0.27 * squash, 0.17)
        easel.cover(glass * worn * 0.03, torch.ones(3, 1, 1))
        frame = torch.maximum(frame, rim - glass)
    u, v, squash = easel.on_head(0.0, -0.08, out=1.1)
    bridge = easel.ellipse(easel.u - u, easel.v - v, 0.14 * squash, 0.035)
    easel.cover(torch.maximum(frame, bridge) * worn * 0.9, torch.full((3, 1, 1), 0.02))


def paint(sitters: FaceAttributes, size: int, rng: torch.Generator) -> Tensor:
    """Paint B portraits at once.

    Args:
        sitters: the attributes of the B faces.
        size: side in pixels.
        rng: of what no attribute describes: strands of hair, blotches of skin, folds of cloth.

    Returns:
        Linear light (B, 3, size, size), 0 black to 1 white (a highlight may exceed it).
    """
    easel = Raster(sitters, size, rng)
    background(easel)
    hair_behind(easel)
    body(easel)
    head(easel)
    mouth(easel)
    beard(easel)
    nose(easel)
    eyes(easel)
    hair_before(easel)
    brows(easel)
    spectacles(easel)
    return easel.light.mul_(scalar(sitters.exposure)[:, None])


def background(easel: Raster) -> None:
    """A wall or a view out of focus: two colours that fade into each other."""
    along = easel.x * easel.phase[:, :1].cos() + easel.y * easel.phase[:, :1].sin()
    blend = (0.5 + 0.5 * along + 0.02 * easel.blotches).clamp(0, 1)
    near, far = linear(easel.sitters.background), linear(easel.sitters.background_far)
    torch.lerp(near, far, blend[:, None], out=easel.light)


def hair_behind(easel: Raster) -> None:
    """Long hair falls behind the neck: a rounded box from the crown to its length."""
    of = easel.of
    length = of["hair_length"]
    bottom = 0.1 + 1.7 * (length - 0.3).clamp(min=0)
    half = (bottom + 1.1) / 2
    width = 1.04 + 0.3 * of["hair_volume"] * (length - 0.2).clamp(0, 0.5) / 0.5
    wave = of["hair_curl"] * 0.07 * (easel.v * 9 + easel.phase[:, 1:2]).sin()
    across = (easel.u / (width + wave)).square()
    down = (easel.v - bottom + half) / half
    round_top = across + down.square()
    box = torch.where(down < 0, round_top, across.square() + down.square().square())
    mask = coverage((1 - box) * (0.5 * easel.edge)) * over(length, 0.4)
    easel.cover(mask, easel.hair * 0.55)


def body(easel: Raster) -> None:
    """Neck, shoulders and what they wear."""
    of = easel.of
    reach = easel.wide * 0.52
    chin = easel.head_y + 0.9 * easel.high
    neck_x = easel.head_x * 0.7
    from_axis = (easel.x - neck_x).abs()
    neck = coverage((reach - from_axis) / easel.pixel) * (easel.y > easel.head_y)
    rounding = 1 - 0.35 * (from_axis / reach).square()
    throat = (0.42 + 0.5 * (easel.y - chin).clamp(0, 0.4)) * rounding
    easel.cover(neck, easel.skin * throat[:, None])
    top = chin + 0.16
    slope = (easel.x - neck_x).square() * 0.55 + (reach * 1.1 - from_axis).clamp(min=0).mul_(0.7)
    folds = 0.75 + 0.12 * easel.blotches + 0.25 * easel.x * of["light_contrast"] * scalar(easel.sitters.light[:, 0])
    cloth = linear(easel.sitters.clothing) * folds.clamp(0.2, 1.3)[:, None]
    easel.cover(coverage((easel.y - top - slope) / easel.pixel), cloth)


def head(easel: Raster) -> None:
    """Ears, then the head itself: shaded as an ellipsoid, cheeks flushed, skin blotched."""
    of = easel.of
    for side in SIDES:
        showing = (1 - 0.5 * side * of["yaw"].sin()).clamp(0.3, 1.2)
        ear = easel.ellipse(easel.u - side * (0.93 + 0.08 * showing), easel.v - 0.08, 0.13, 0.23)
        easel.cover(ear, easel.skin * (0.65 * easel.shade + 0.12)[:, None])
    texture = of["skin_texture"] * (0.065 * easel.blotches + 0.045 * easel.grain)
    relief = _relief(easel)
    tone = easel.skin * (easel.shade * (1 + texture + relief))[:, None]
    flush = torch.zeros(1)
    for side in SIDES:
        flush = flush + easel.bump_on_head(side * 0.45, 0.32, 0.34, 0.26)
    tone[:, 1:] *= (1 - 0.16 * flush)[:, None]
    easel.cover(easel.head_mask, tone)


def _relief(easel: Raster) -> Tensor:
    """Relative light of the features' relief: sockets, cheekbones, forehead, chin."""
    relief = 0.10 * easel.bump_on_head(0, -0.5, 0.6, 0.35) + 0.10 * easel.bump_on_head(0, 0.86, 0.25, 0.14)
    for side in SIDES:
        relief = relief - 0.32 * easel.bump_on_head(side * 0.4, -0.06, 0.34, 0.22)
        relief = relief + 0.10 * easel.bump_on_head(side * 0.52, 0.22, 0.3, 0.16)
    return relief - 0.16 * easel.bump_on_head(0, 0.72, 0.3, 0.07)


def hair_before(easel: Raster) -> None:
    """The hair on the head: what of a cap lies above the hairline."""
    of = easel.of
    length = of["hair_length"]
    grown = over(length, 0.1)
    rise = 0.04 + 0.10 * length.clamp(max=0.5) + 0.16 * of["hair_volume"] * grown
    ruffle = of["hair_curl"] * 0.03 * ((easel.u * 13 + easel.phase[:, 2:3]).sin() + (easel.v * 11).sin())
    cap = (easel.u / (1.0 + 0.75 * rise + ruffle)).square() + ((easel.v + 0.2 * rise) / (1.0 + rise + ruffle)).square()
    mask = coverage((1 - cap) * easel.edge)
    turned = easel.u - 0.75 * of["yaw"].sin()
    line = -0.72 + 0.40 * of["hair_fringe"] * grown - 0.22 * (1 - grown) - 0.25 * of["pitch"].sin()
    aside = (turned - 0.35 * of["hair_parting"]).abs()
    line = line + (0.35 + 0.25 * of["hair_parting"].abs()) * aside.clamp(max=0.45)
    temple = ((turned.abs() - 0.66) * 4).clamp(0, 1)
    line = line + temple * (0.35 + 0.9 * (length - 0.3).clamp(0, 0.6))
    front = coverage((line - easel.v) * easel.high / easel.pixel)
    easel.cover(mask * front * (0.25 + 0.75 * grown), easel.hair * (0.35 + 0.65 * easel.shade)[:, None])
