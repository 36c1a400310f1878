"""Render parametric faces: the whole portrait, the antialiased raster, and the parts in the order of painting."""

import math
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.data.portraits.attributes import FaceAttributes, skin_colour

SIDES = (-1, 1)


def paint_portraits(faces: FaceAttributes, size: int, rng: torch.Generator) -> Tensor:
    """Paint B portraits at once.

    Args:
        faces: the attributes of the B faces.
        size: side in pixels.
        rng: generator of the details without an attribute: strands of hair, blotches of skin, folds of cloth.

    Returns:
        Linear light (B, 3, size, size), 0 black to 1 white; highlights may exceed 1.
    """
    raster = Raster(faces, size, rng)
    paint_background(raster)
    paint_back_hair(raster)
    paint_body(raster)
    paint_head(raster)
    paint_mouth(raster)
    paint_beard(raster)
    paint_nose(raster)
    paint_eyes(raster)
    paint_front_hair(raster)
    paint_brows(raster)
    paint_glasses(raster)
    return raster.light.mul_(scalar(faces.exposure)[:, None])


class Raster:
    """The pictures being painted, the coordinates of each head, and the operations that paint.

    In head coordinates u points right and v down, and the outline of the head is near the unit circle. The position of
    a feature is given on the front of the unit sphere and turns with the head.

    Args:
        faces: the attributes of the B faces.
        size: side of the picture in pixels.
        rng: generator of the details without an attribute.
    """

    def __init__(self, faces: FaceAttributes, size: int, rng: torch.Generator) -> None:
        self.attributes = faces
        self.face = {name: scalar(values) for name, values in faces.columns().items() if values.ndim == 1}
        n = len(faces.yaw)
        axis = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        self.pixel = 2 / size
        self.light = torch.empty(n, 3, size, size)
        # The noise that depends on the size is drawn last, so that the rest is the same at every resolution.
        self.phase = torch.rand(n, 4, 1, generator=rng) * (2 * math.pi)
        coarse = torch.randn(n, 1, 24, 24, generator=rng)
        self.blotches = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)[:, 0]
        self.grain = torch.randn(n, size, size, generator=rng)
        self._set_head()
        self.skin = linear(skin_colour(faces))

    def _set_head(self) -> None:
        """Compute the head's coordinates, outline and shading."""
        face, position = self.face, self.attributes.position
        self.head_x, self.head_y = scalar(position[:, 0]), scalar(position[:, 1])
        self.high = face["size"]
        self.wide = face["size"] * face["face_width"]
        cos, sin = face["roll"].cos(), face["roll"].sin()
        dx, dy = self.x - self.head_x, self.y - self.head_y
        u, v = (dx * cos + dy * sin) / self.wide, (dy * cos - dx * sin) / self.high
        below = v.clamp(min=0)
        taper = 1 + face["jaw"] * below * below + 0.06 * below
        self.u, self.v = u, v
        self.across = (u - 0.18 * face["yaw"].sin() * below) / taper  # u, with the cheeks on the unit circle
        self.radius2 = self.across.square() + v.square()
        self.edge = 0.5 * self.wide / self.pixel  # converts (radius2 - 1) to a distance in pixels
        self.head_mask = coverage((1 - self.radius2) * self.edge)
        facing = (1 - self.radius2).clamp_(min=0.0).sqrt_()
        light = self.attributes.light
        light_x, light_y = scalar(light[:, 0]), scalar(light[:, 1])
        norm = (light_x**2 + light_y**2 + 1).sqrt()
        lambert = ((self.across * light_x + v * light_y + facing) / norm).clamp_(min=0)
        contrast = face["light_contrast"]
        self.shade = (1 - contrast) * (0.75 + 0.25 * facing) + contrast * 1.35 * lambert

    @cached_property
    def hair(self) -> Tensor:
        """Return the linear colour (B, 3, H, W) of hair: strands that run from the crown, with a band of gloss."""
        along = self.u / (self.v + 1.9).clamp(min=0.5)
        curl = self.face["hair_curl"]
        strands = (along * 31 + self.phase[:, 0:1] + curl * 3 * self.blotches).sin()
        strands = strands + (along * 67 + self.phase[:, 3:4] + curl * 4 * self.blotches).sin()
        gloss = (1 - ((self.v + 0.72 - 0.2 * self.u.square()) / 0.2).square()).clamp_(min=0) * (1 - curl)
        brightness = (0.9 + 0.22 * strands + 0.08 * self.grain).clamp_(min=0.3)
        return (linear(self.attributes.hair_colour) + 0.05 * gloss[:, None]) * (brightness + 0.3 * gloss)[:, None]

    def on_head(self, across: Tensor | float, down: Tensor | float, out: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Project a point on the front of the head: return its u and v, and the factor by which the turn narrows it."""
        depth = out * (torch.ones(1) - across * across - down * down).clamp(min=0.05).sqrt()
        yaw, pitch = self.face["yaw"], self.face["pitch"]
        u = across * yaw.cos() + depth * yaw.sin() * 0.8
        turned = depth * yaw.cos() - across * yaw.sin()
        v = down * pitch.cos() + depth * pitch.sin() * 0.6
        return u, v, (turned / depth).clamp(0.35, 1.1)

    def ellipse(self, du: Tensor, dv: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
        """Return the coverage, in [0, 1], of an ellipse with half-axes a and b in head units and a soft pixel edge."""
        inside = 1 - (du / a).square() - (dv / b).square()
        nearer = torch.minimum(a * self.wide, b * self.high)
        return coverage(inside.mul_(0.5 * nearer / self.pixel))

    def bump(self, du: Tensor, dv: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
        """Return a bump of height 1 that falls off smoothly to the ellipse's edge."""
        return (1 - (du / a).square() - (dv / b).square()).clamp_(min=0).square_()

    def bump_on_head(self, across: float, down: float, a: float, b: float) -> Tensor:
        """Return a bump on the front of the head."""
        u, v, squash = self.on_head(across, down)
        return self.bump(self.u - u, self.v - v, a * squash, b)

    def cover(self, mask: Tensor, colour: Tensor) -> None:
        """Blend a colour into the picture by a mask (B, H, W)."""
        self.light.lerp_(colour.expand_as(self.light), mask[:, None])

    def darken(self, amount: Tensor) -> None:
        """Remove a share (B, H, W) of the light."""
        self.light.mul_((1 - amount)[:, None])

    def lighten(self, amount: Tensor) -> None:
        """Add a share (B, H, W) of the light."""
        self.light.mul_((1 + amount)[:, None])


def coverage(distance: Tensor) -> Tensor:
    """Return the share of a pixel inside an edge, given the signed distance to the edge in pixels."""
    return distance.add(0.5).clamp_(0, 1)


def over(values: Tensor, threshold: float) -> Tensor:
    """Return 0 below the threshold and 1 above it, with a linear ramp a tenth wide."""
    return coverage((values - threshold) * 10)


def scalar(values: Tensor) -> Tensor:
    """Reshape (B,) to (B, 1, 1)."""
    return values[:, None, None]


def linear(colour: Tensor) -> Tensor:
    """Convert an sRGB colour (B, 3) to linear light (B, 3, 1, 1)."""
    return colour.pow(2.2)[:, :, None, None]


def paint_background(raster: Raster) -> None:
    """Paint an unfocused background: two colours that fade into each other."""
    along = raster.x * raster.phase[:, :1].cos() + raster.y * raster.phase[:, :1].sin()
    blend = (0.5 + 0.5 * along + 0.02 * raster.blotches).clamp(0, 1)
    near, far = linear(raster.attributes.background), linear(raster.attributes.background_far)
    torch.lerp(near, far, blend[:, None], out=raster.light)


def paint_back_hair(raster: Raster) -> None:
    """Paint long hair behind the neck: a rounded box from the crown to its length."""
    face = raster.face
    length = face["hair_length"]
    bottom = 0.1 + 1.7 * (length - 0.3).clamp(min=0)
    half = (bottom + 1.1) / 2
    width = 1.04 + 0.3 * face["hair_volume"] * (length - 0.2).clamp(0, 0.5) / 0.5
    wave = face["hair_curl"] * 0.07 * (raster.v * 9 + raster.phase[:, 1:2]).sin()
    across = (raster.u / (width + wave)).square()
    down = (raster.v - bottom + half) / half
    round_top = across + down.square()
    box = torch.where(down < 0, round_top, across.square() + down.square().square())
    mask = coverage((1 - box) * (0.5 * raster.edge)) * over(length, 0.4)
    raster.cover(mask, raster.hair * 0.55)


def paint_body(raster: Raster) -> None:
    """Paint neck, shoulders and clothing."""
    face = raster.face
    reach = raster.wide * 0.52
    chin = raster.head_y + 0.9 * raster.high
    neck_x = raster.head_x * 0.7
    from_axis = (raster.x - neck_x).abs()
    neck = coverage((reach - from_axis) / raster.pixel) * (raster.y > raster.head_y)
    rounding = 1 - 0.35 * (from_axis / reach).square()
    throat = (0.42 + 0.5 * (raster.y - chin).clamp(0, 0.4)) * rounding
    raster.cover(neck, raster.skin * throat[:, None])
    top = chin + 0.16
    slope = (raster.x - neck_x).square() * 0.55 + (reach * 1.1 - from_axis).clamp(min=0).mul_(0.7)
    folds = (
        0.75 + 0.12 * raster.blotches + 0.25 * raster.x * face["light_contrast"] * scalar(raster.attributes.light[:, 0])
    )
    cloth = linear(raster.attributes.clothing) * folds.clamp(0.2, 1.3)[:, None]
    raster.cover(coverage((raster.y - top - slope) / raster.pixel), cloth)


def paint_head(raster: Raster) -> None:
    """Paint ears and head: shaded as an ellipsoid, with blotched skin and flushed cheeks."""
    face = raster.face
    for side in SIDES:
        showing = (1 - 0.5 * side * face["yaw"].sin()).clamp(0.3, 1.2)
        ear = raster.ellipse(raster.u - side * (0.93 + 0.08 * showing), raster.v - 0.08, 0.13, 0.23)
        raster.cover(ear, raster.skin * (0.65 * raster.shade + 0.12)[:, None])
    texture = face["skin_texture"] * (0.065 * raster.blotches + 0.045 * raster.grain)
    relief = _relief(raster)
    tone = raster.skin * (raster.shade * (1 + texture + relief))[:, None]
    flush = torch.zeros(1)
    for side in SIDES:
        flush = flush + raster.bump_on_head(side * 0.45, 0.32, 0.34, 0.26)
    tone[:, 1:] *= (1 - 0.16 * flush)[:, None]
    raster.cover(raster.head_mask, tone)


def _relief(raster: Raster) -> Tensor:
    """Return the relative light of the relief: eye sockets, cheekbones, forehead and chin."""
    relief = 0.10 * raster.bump_on_head(0, -0.5, 0.6, 0.35) + 0.10 * raster.bump_on_head(0, 0.86, 0.25, 0.14)
    for side in SIDES:
        relief = relief - 0.32 * raster.bump_on_head(side * 0.4, -0.06, 0.34, 0.22)
        relief = relief + 0.10 * raster.bump_on_head(side * 0.52, 0.22, 0.3, 0.16)
    return relief - 0.16 * raster.bump_on_head(0, 0.72, 0.3, 0.07)


def paint_mouth(raster: Raster) -> None:
    """Paint lips, and teeth in an open mouth; a smile raises the corners."""
    face = raster.face
    u, v, squash = raster.on_head(0.0, 0.53)
    half = 0.30 * face["mouth_width"] * squash * (1 + 0.1 * face["smile"])
    du = raster.u - u
    dv = raster.v - v + 0.11 * face["smile"] * ((du / half).square() - 0.4)
    rosy = raster.skin * torch.tensor([0.78, 0.45, 0.45])[:, None, None]
    red = torch.tensor([0.45, 0.02, 0.04])[:, None, None]
    lips = torch.lerp(rosy, red, scalar(raster.attributes.lip_colour)[:, None] * 0.8) * raster.shade[:, None]
    opened = 0.10 * face["mouth_open"]
    full = 0.075 * face["lips"]
    raster.cover(raster.ellipse(du, dv, half, full + opened), lips)
    raster.cover(raster.ellipse(du, dv + 0.8 * full + opened, half * 0.9, full * 0.6) * 0.35, lips * 0.6)
    inside = raster.ellipse(du, dv, half * 0.82, 0.018 + opened)
    raster.cover(inside, torch.tensor([0.06, 0.01, 0.01])[:, None, None])
    teeth = inside * coverage((opened * 0.45 - dv) * raster.high / raster.pixel) * over(face["mouth_open"], 0.25)
    raster.cover(teeth, 0.75 * raster.shade[:, None])


def paint_beard(raster: Raster) -> None:
    """Paint stubble or a beard over jaw and upper lip, outside the mouth."""
    face = raster.face
    u, v, squash = raster.on_head(0.0, 0.53)
    jaw = ((raster.radius2 - 0.38) * 4).clamp_(0, 1) * ((raster.v - 0.12) * 3).clamp_(0, 1)
    lip = raster.ellipse(raster.u - u, raster.v - v + 0.17, 0.34 * squash, 0.075)
    chin = raster.ellipse(raster.u - u, raster.v - v - 0.33, 0.3, 0.2)
    mask = torch.maximum(torch.maximum(jaw, lip), chin) * raster.head_mask
    mouth = raster.ellipse(raster.u - u, raster.v - v, 0.3 * squash, 0.1 + 0.1 * face["mouth_open"])
    mask = mask * (1 - mouth) * face["beard"] * (0.85 + 0.2 * raster.grain).clamp(0, 1)
    raster.cover(mask, raster.hair * 0.8)


def paint_nose(raster: Raster) -> None:
    """Paint bridge, tip, flanks and nostrils; the tip is in front of the head, and so turns further."""
    face = raster.face
    length = 0.27 * face["nose_length"]
    u, v, squash = raster.on_head(0.0, length, out=1.22)
    root_u, _, _ = raster.on_head(0.0, -0.1, out=1.05)
    width = 0.15 * face["nose_width"]
    lit = scalar(raster.attributes.light[:, 0]).clamp(-1, 1)
    down = ((raster.v + 0.1) / (v + 0.1)).clamp(0, 1)
    ridge = root_u + (u - root_u) * down  # u of the ridge at this height
    du = raster.u - ridge
    span = width * (0.45 + 0.55 * down)
    within = ((raster.v + 0.16) * 6).clamp_(0, 1) * ((v + 0.06 - raster.v) * 9).clamp_(0, 1)
    flank = (1 - ((du.abs() - span).abs() / (0.8 * span))).clamp_(min=0) * within
    away = (0.5 - 0.5 * torch.sign(du) * lit + 0.7 * face["yaw"].sin() * torch.sign(du)).clamp(0, 1)
    raster.darken(flank * away * 0.55)
    raster.lighten((1 - du.abs() / (0.7 * span)).clamp_(min=0) * within * 0.28)
    raster.darken(raster.bump(raster.u - u, raster.v - v - 0.10, width * 1.25, 0.09) * 0.5)
    for side in SIDES:
        nostril = raster.ellipse(raster.u - u - side * 0.5 * width * squash, raster.v - v - 0.055, 0.35 * width, 0.035)
        raster.darken(nostril * 0.75)
    raster.lighten(raster.bump(raster.u - u + 0.02 * lit, raster.v - v + 0.02, width * 0.7, 0.09) * 0.3)


def paint_eyes(raster: Raster) -> None:
    """Paint the lids, white, iris, pupil and reflection of both eyes."""
    face, gaze = raster.face, raster.attributes.gaze
    for side in SIDES:
        u, v, squash = raster.on_head(side * face["eye_distance"], -0.05)
        wide, high = 0.205 * face["eye_size"] * squash, 0.095 * face["eye_size"] * face["eye_open"]
        du, dv = raster.u - u, raster.v - v
        raster.darken(raster.ellipse(du, dv + 0.03, wide * 1.2, high * 1.35) * 0.8)
        white = raster.ellipse(du, dv - 0.01, wide, high)
        raster.cover(white, torch.tensor([0.50, 0.46, 0.44])[:, None, None] * (0.2 + 0.7 * raster.shade)[:, None])
        iris_u = du - 0.07 * scalar(gaze[:, 0]) * squash - 0.05 * face["yaw"].sin()
        iris_v = dv - 0.02 * scalar(gaze[:, 1])
        size = 0.135 * face["eye_size"]
        aspect = raster.wide / raster.high
        iris = raster.ellipse(iris_u, iris_v, size * (0.4 + 0.6 * squash), size * aspect) * white
        raster.cover(iris, linear(raster.attributes.eye_colour) * 0.8)
        raster.cover(raster.ellipse(iris_u, iris_v, size * 0.42, size * 0.42 * aspect) * white, torch.zeros(3, 1, 1))
        lit = scalar(raster.attributes.light[:, 0]).clamp(-1, 1)
        glint = raster.ellipse(iris_u - 0.045 * lit, iris_v + 0.03, 0.028, 0.028 * aspect) * white
        raster.cover(glint * 0.9, torch.ones(3, 1, 1))


def paint_front_hair(raster: Raster) -> None:
    """Paint the hair on the head: the part of a cap above the hairline."""
    face = raster.face
    length = face["hair_length"]
    grown = over(length, 0.1)
    rise = 0.04 + 0.10 * length.clamp(max=0.5) + 0.16 * face["hair_volume"] * grown
    ruffle = face["hair_curl"] * 0.03 * ((raster.u * 13 + raster.phase[:, 2:3]).sin() + (raster.v * 11).sin())
    cap = (raster.u / (1.0 + 0.75 * rise + ruffle)).square() + (
        (raster.v + 0.2 * rise) / (1.0 + rise + ruffle)
    ).square()
    mask = coverage((1 - cap) * raster.edge)
    turned = raster.u - 0.75 * face["yaw"].sin()
    line = -0.72 + 0.40 * face["hair_fringe"] * grown - 0.22 * (1 - grown) - 0.25 * face["pitch"].sin()
    aside = (turned - 0.35 * face["hair_parting"]).abs()
    line = line + (0.35 + 0.25 * face["hair_parting"].abs()) * aside.clamp(max=0.45)
    temple = ((turned.abs() - 0.66) * 4).clamp(0, 1)
    line = line + temple * (0.35 + 0.9 * (length - 0.3).clamp(0, 0.6))
    front = coverage((line - raster.v) * raster.high / raster.pixel)
    raster.cover(mask * front * (0.25 + 0.75 * grown), raster.hair * (0.35 + 0.65 * raster.shade)[:, None])


def paint_brows(raster: Raster) -> None:
    """Paint an arch of hair above each eye."""
    face = raster.face
    for side in SIDES:
        u, v, squash = raster.on_head(side * (face["eye_distance"] + 0.02), -0.27)
        du = (raster.u - u) / squash
        dv = raster.v - v - face["brow_tilt"] * side * du - 0.9 * du.square()
        mask = raster.ellipse(du, dv + 0.02, 0.25, 0.05 * face["brow"]) * raster.head_mask
        raster.cover(mask * 0.8, raster.hair * 0.6)


def paint_glasses(raster: Raster) -> None:
    """Paint glasses: dark rims, a bridge and a faint reflection."""
    worn = raster.face["glasses"]
    frame = torch.zeros_like(raster.u)
    for side in SIDES:
        u, v, squash = raster.on_head(side * raster.face["eye_distance"], -0.02, out=1.08)
        du, dv = raster.u - u, raster.v - v
        rim = raster.ellipse(du, dv, 0.33 * squash, 0.22)
        glass = raster.ellipse(du, dv, 0.27 * squash, 0.17)
        raster.cover(glass * worn * 0.03, torch.ones(3, 1, 1))
        frame = torch.maximum(frame, rim - glass)
    u, v, squash = raster.on_head(0.0, -0.08, out=1.1)
    bridge = raster.ellipse(raster.u - u, raster.v - v, 0.14 * squash, 0.035)
    raster.cover(torch.maximum(frame, bridge) * worn * 0.9, torch.full((3, 1, 1), 0.02))
