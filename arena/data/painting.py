"""A face in linear light, drawn from its attributes: layers of shapes with smooth edges, back to front."""

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.data.sitters import Sitters, skin_colour


def paint(sitters: Sitters, size: int, rng: torch.Generator) -> Tensor:
    """Paint B portraits at once.

    Args:
        sitters: the attributes of the B faces.
        size: side in pixels.
        rng: of what no attribute describes: strands of hair, blotches of skin, folds of cloth.

    Returns:
        Linear light (B, 3, size, size), 0 black to 1 white.
    """
    easel = Easel(sitters, size, rng)
    easel.background()
    easel.hair_behind()
    easel.body()
    easel.head()
    easel.mouth()
    easel.beard()
    easel.nose()
    for side in (-1, 1):
        easel.eye(side)
    easel.hair_before()
    for side in (-1, 1):
        easel.brow(side)
    easel.spectacles()
    return easel.light.mul_(_scalar(sitters.exposure)[:, None])


class Easel:
    """The picture in the making, and the frame of reference of each head.

    Head coordinates: u to the right and v down, the outline of the head near the unit circle. A feature's place is given
    on the front of the unit sphere and turned with the head.
    """

    def __init__(self, sitters: Sitters, size: int, rng: torch.Generator) -> None:
        self.sitters = sitters
        self.of = {name: _scalar(values) for name, values in sitters.columns().items() if values.ndim == 1}
        n = len(sitters.yaw)
        axis = (torch.arange(size, dtype=torch.float32) + 0.5) * (2 / size) - 1
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        self.pixel = 2 / size
        self.light = torch.empty(n, 3, size, size)
        # Noise of two grains: blotches of about a twelfth of the frame, and the finest the picture holds.
        coarse = torch.randn(n, 1, 24, 24, generator=rng)
        self.blotches = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)[:, 0]
        self.grain = torch.randn(n, size, size, generator=rng)
        self.phase = torch.rand(n, 4, 1, generator=rng) * 6.28
        self._set_head()

    def _set_head(self) -> None:
        """The head's coordinates, outline and shading."""
        of, position = self.of, self.sitters.position
        self.head_x, self.head_y = _scalar(position[:, 0]), _scalar(position[:, 1])
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
        self.head_mask = ((1 - self.radius2) * self.edge).add_(0.5).clamp_(0, 1)
        facing = (1 - self.radius2).clamp_(min=0.0).sqrt_()
        light = self.sitters.light
        light_x, light_y = _scalar(light[:, 0]), _scalar(light[:, 1])
        norm = (light_x**2 + light_y**2 + 1).sqrt()
        lambert = ((self.across * light_x + v * light_y + facing) / norm).clamp_(min=0)
        contrast = of["light_contrast"]
        self.shade = (1 - contrast) * (0.75 + 0.25 * facing) + contrast * 1.35 * lambert

    # -- layers, back to front ------------------------------------------------------------------------------------------

    def background(self) -> None:
        """A wall or a view out of focus: two colours that fade into each other."""
        along = self.x * self.phase[:, :1].cos() + self.y * self.phase[:, :1].sin()
        blend = (0.5 + 0.5 * along + 0.06 * self.blotches).clamp(0, 1)
        near, far = _linear(self.sitters.background), _linear(self.sitters.background_far)
        torch.lerp(near, far, blend[:, None], out=self.light)

    def hair_behind(self) -> None:
        """Long hair falls behind the neck: a rounded box from the crown to its length."""
        of = self.of
        length = of["hair_length"]
        bottom = 0.1 + 1.7 * (length - 0.3).clamp(min=0)
        half = (bottom + 1.1) / 2
        width = 1.02 + 0.3 * of["hair_volume"] * (length - 0.2).clamp(0, 0.5) / 0.5
        wave = of["hair_curl"] * 0.07 * (self.v * 9 + self.phase[:, 1:2]).sin()
        box = ((self.u / (width + wave)).square()).square() + (((self.v - bottom + half) / half).square()).square()
        mask = ((1 - box) * (0.5 * self.edge)).add_(0.5).clamp_(0, 1) * _step(length, 0.4)
        self._cover(mask, self._hair() * 0.55)

    def body(self) -> None:
        """Neck, shoulders and what they wear."""
        of = self.of
        skin = _linear(skin_colour(self.sitters))
        reach = self.wide * 0.52
        chin = self.head_y + 0.9 * self.high
        neck_x = self.head_x * 0.7
        from_axis = (self.x - neck_x).abs()
        neck = ((reach - from_axis) / self.pixel).add_(0.5).clamp_(0, 1) * (self.y > self.head_y)
        rounding = 1 - 0.35 * (from_axis / reach).square()
        throat = (0.42 + 0.5 * (self.y - chin).clamp(0, 0.4)) * rounding
        self._cover(neck, skin * throat[:, None])
        top = chin + 0.16
        slope = (self.x - neck_x).square() * 0.55 + (reach * 1.1 - from_axis).clamp(min=0).mul_(0.7)
        folds = 0.75 + 0.12 * self.blotches + 0.25 * self.x * of["light_contrast"] * _scalar(self.sitters.light[:, 0])
        cloth = _linear(self.sitters.clothing) * folds.clamp(0.2, 1.3)[:, None]
        self._cover(((self.y - top - slope) / self.pixel).add_(0.5).clamp_(0, 1), cloth)

    def head(self) -> None:
        """Ears, then the head itself: shaded as an ellipsoid, cheeks flushed, skin blotched."""
        of = self.of
        skin = _linear(skin_colour(self.sitters))
        for side in (-1, 1):
            showing = (1.0 - 0.5 * side * of["yaw"].sin()).clamp(0.3, 1.2)
            ear = self._ellipse(self.u - side * (0.93 + 0.08 * showing), self.v - 0.08, 0.13, 0.23)
            self._cover(ear, skin * (0.65 * self.shade + 0.12)[:, None])
        texture = of["skin_texture"] * (0.045 * self.blotches + 0.03 * self.grain)
        relief = self._relief()
        tone = skin * (self.shade * (1 + texture + relief))[:, None]
        flush = 0.0
        for side in (-1, 1):
            flush = flush + self._bump(side * 0.45, 0.32, 0.34, 0.26)
        tone[:, 1:] *= (1 - 0.16 * flush)[:, None]
        self._cover(self.head_mask, tone)

    def _relief(self) -> Tensor:
        """Light and shadow of the features' relief: sockets, cheekbones, forehead, chin."""
        relief = 0.10 * self._bump(0, -0.5, 0.6, 0.35) + 0.10 * self._bump(0, 0.86, 0.25, 0.14)
        for side in (-1, 1):
            relief = relief - 0.32 * self._bump(side * 0.4, -0.06, 0.34, 0.22)
            relief = relief + 0.10 * self._bump(side * 0.52, 0.22, 0.3, 0.16)
        return relief - 0.16 * self._bump(0, 0.72, 0.3, 0.07)

    def mouth(self) -> None:
        """Lips, and teeth where it is open; the corners rise with a smile."""
        of = self.of
        u, v, squash = self._on_head(0.0, 0.53)
        half = 0.30 * of["mouth_width"] * squash * (1 + 0.1 * of["smile"])
        du = self.u - u
        dv = self.v - v + 0.07 * of["smile"] * ((du / half).square() - 0.4)
        skin = _linear(skin_colour(self.sitters))
        rosy = skin * torch.tensor([0.78, 0.45, 0.45])[:, None, None]
        red = torch.tensor([0.45, 0.02, 0.04])[:, None, None]
        lips = torch.lerp(rosy, red, _scalar(self.sitters.lip_colour)[:, None] * 0.8) * self.shade[:, None]
        opened = 0.10 * of["mouth_open"]
        full = 0.075 * of["lips"]
        self._cover(self._ellipse(du, dv, half, full + opened), lips)
        self._cover(self._ellipse(du, dv + 0.8 * full + opened, half * 0.9, full * 0.6) * 0.35, lips * 0.6)
        inside = self._ellipse(du, dv, half * 0.82, 0.018 + opened)
        self._cover(inside, torch.tensor([0.06, 0.01, 0.01])[:, None, None])
        teeth = inside * _ramp(dv, opened * 0.45, self.pixel / self.high) * _step(of["mouth_open"], 0.25)
        self._cover(teeth, 0.75 * self.shade[:, None])

    def beard(self) -> None:
        """Stubble to full beard, over jaw and lip, never over the mouth."""
        of = self.of
        u, v, squash = self._on_head(0.0, 0.53)
        jaw = ((self.radius2 - 0.38) * 4).clamp_(0, 1) * ((self.v - 0.12) * 3).clamp_(0, 1)
        lip = self._ellipse(self.u - u, self.v - v + 0.17, 0.34 * squash, 0.075)
        chin = self._ellipse(self.u - u, self.v - v - 0.33, 0.3, 0.2)
        mask = torch.maximum(torch.maximum(jaw, lip), chin) * self.head_mask
        mouth = self._ellipse(self.u - u, self.v - v, 0.3 * squash, 0.1 + 0.1 * of["mouth_open"])
        mask = mask * (1 - mouth) * of["beard"] * (0.85 + 0.2 * self.grain).clamp(0, 1)
        self._cover(mask, self._hair() * 0.8)

    def nose(self) -> None:
        """Bridge, tip, wings and nostrils; it stands out from the head, so it turns further."""
        of = self.of
        length = 0.27 * of["nose_length"]
        u, v, squash = self._on_head(0.0, length, out=1.22)
        root_u, _, _ = self._on_head(0.0, -0.1, out=1.05)
        width = 0.15 * of["nose_width"]
        lit = _scalar(self.sitters.light[:, 0]).clamp(-1, 1)
        down = ((self.v + 0.1) / (v + 0.1)).clamp(0, 1)
        ridge = root_u + (u - root_u) * down  # u of the ridge at this height
        du = self.u - ridge
        span = width * (0.45 + 0.55 * down)
        within = ((self.v + 0.16) * 6).clamp_(0, 1) * ((v + 0.06 - self.v) * 9).clamp_(0, 1)
        flank = (1 - ((du.abs() - span).abs() / (0.8 * span))).clamp_(min=0) * within
        away = (0.5 - 0.5 * torch.sign(du) * lit + 0.7 * of["yaw"].sin() * torch.sign(du)).clamp(0, 1)
        self._darken(flank * away * 0.42)
        self._lighten((1 - du.abs() / (0.7 * span)).clamp_(min=0) * within * 0.2)
        self._darken(self._ellipse_soft(self.u - u, self.v - v - 0.10, width * 1.25, 0.09) * 0.4)
        for side in (-1, 1):
            nostril = self._ellipse(self.u - u - side * 0.5 * width * squash, self.v - v - 0.055, 0.35 * width, 0.035)
            self._darken(nostril * 0.75)
        self._lighten(self._ellipse_soft(self.u - u + 0.02 * lit, self.v - v + 0.02, width * 0.7, 0.09) * 0.3)

    def eye(self, side: int) -> None:
        """Lids, white, iris, pupil and the light's reflection."""
        of, gaze = self.of, self.sitters.gaze
        u, v, squash = self._on_head(side * of["eye_distance"], -0.05)
        wide, high = 0.205 * of["eye_size"] * squash, 0.095 * of["eye_size"] * of["eye_open"]
        du, dv = self.u - u, self.v - v
        self._darken(self._ellipse(du, dv + 0.03, wide * 1.18, high * 1.28) * 0.72)
        white = self._ellipse(du, dv - 0.01, wide, high)
        self._cover(white, torch.tensor([0.80, 0.76, 0.74])[:, None, None] * (0.3 + 0.6 * self.shade)[:, None])
        iris_u = du - 0.07 * _scalar(gaze[:, 0]) * squash - 0.05 * of["yaw"].sin()
        iris_v = dv - 0.02 * _scalar(gaze[:, 1])
        size = 0.105 * of["eye_size"]
        aspect = self.wide / self.high
        iris = self._ellipse(iris_u, iris_v, size * (0.4 + 0.6 * squash), size * aspect) * white
        self._cover(iris, _linear(self.sitters.eye_colour) * 0.8)
        self._cover(self._ellipse(iris_u, iris_v, size * 0.42, size * 0.42 * aspect) * white, torch.zeros(3, 1, 1))
        lit = _scalar(self.sitters.light[:, 0]).clamp(-1, 1)
        glint = self._ellipse(iris_u - 0.045 * lit, iris_v + 0.03, 0.03, 0.03 * aspect) * white
        self._cover(glint * 0.9, torch.ones(3, 1, 1))

    def brow(self, side: int) -> None:
        """An arch of hair above the eye."""
        of = self.of
        u, v, squash = self._on_head(side * (of["eye_distance"] + 0.02), -0.27)
        du = (self.u - u) / squash
        dv = self.v - v + of["brow_tilt"] * side * du + 1.2 * du.square()
        mask = self._ellipse(du, dv - 0.02, 0.25, 0.048 * of["brow"]) * self.head_mask
        self._cover(mask * 0.8, self._hair() * 0.6)

    def spectacles(self) -> None:
        """Dark rims, a bridge and a faint reflection."""
        worn = self.of["glasses"]
        frame = torch.zeros_like(self.u)
        for side in (-1, 1):
            u, v, squash = self._on_head(side * self.of["eye_distance"], -0.02, out=1.08)
            du, dv = self.u - u, self.v - v
            rim = self._ellipse(du, dv, 0.33 * squash, 0.22)
            glass = self._ellipse(du, dv, 0.27 * squash, 0.17)
            self._cover(glass * worn * 0.10, torch.ones(3, 1, 1))
            frame = torch.maximum(frame, rim - glass)
        u, v, squash = self._on_head(0.0, -0.08, out=1.1)
        bridge = self._ellipse(self.u - u, self.v - v, 0.14 * squash, 0.035)
        self._cover(torch.maximum(frame, bridge) * worn * 0.9, torch.full((3, 1, 1), 0.02))

    def hair_before(self) -> None:
        """The hair on the head: what of a cap lies above the hairline."""
        of = self.of
        length = of["hair_length"]
        grown = _step(length, 0.1)
        rise = 0.04 + 0.10 * length.clamp(max=0.5) + 0.16 * of["hair_volume"] * grown
        ruffle = of["hair_curl"] * 0.03 * ((self.u * 13 + self.phase[:, 2:3]).sin() + (self.v * 11).sin())
        cap = (self.u / (1.0 + 0.75 * rise + ruffle)).square() + ((self.v + 0.2 * rise) / (1.0 + rise + ruffle)).square()
        mask = ((1 - cap) * self.edge).add_(0.5).clamp_(0, 1)
        turned = self.u - 0.75 * of["yaw"].sin()
        line = -0.72 + 0.40 * of["hair_fringe"] * grown - 0.22 * (1 - grown) - 0.25 * of["pitch"].sin()
        aside = (turned - 0.35 * of["hair_parting"]).abs()
        line = line + (0.35 + 0.25 * of["hair_parting"].abs()) * aside.clamp(max=0.45)
        temple = ((turned.abs() - 0.66) * 4).clamp(0, 1)
        line = line + temple * (0.35 + 0.9 * (length - 0.3).clamp(0, 0.6))
        front = ((line - self.v) * self.high / self.pixel).add_(0.5).clamp_(0, 1)
        self._cover(mask * front * (0.25 + 0.75 * grown), self._hair() * (0.35 + 0.65 * self.shade)[:, None])

    # -- materials and strokes ------------------------------------------------------------------------------------------

    def _hair(self) -> Tensor:
        """Strands that run from the crown, with a band of gloss: linear colour (B, 3, H, W)."""
        if not hasattr(self, "_strands"):
            along = self.u / (self.v + 1.9).clamp(min=0.5)
            curl = self.of["hair_curl"]
            strands = (along * 31 + self.phase[:, 0:1] + curl * 3 * self.blotches).sin()
            strands = strands + (along * 67 + self.phase[:, 3:4] + curl * 4 * self.blotches).sin()
            gloss = (1 - ((self.v + 0.72 - 0.2 * self.u.square()) / 0.2).square()).clamp_(min=0) * (1 - curl)
            brightness = (0.9 + 0.22 * strands + 0.08 * self.grain).clamp_(min=0.3)
            colour = _linear(self.sitters.hair_colour)
            self._strands = (colour + 0.05 * gloss[:, None]) * (brightness + 0.3 * gloss)[:, None]
        return self._strands

    def _on_head(self, across: Tensor | float, down: Tensor | float, out: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
        """Where a point on the front of the head appears: its u and v, and how much the turn narrows what is there."""
        across, down = torch.as_tensor(across), torch.as_tensor(down)
        depth = out * (1 - across.square() - down.square()).clamp(min=0.05).sqrt()
        yaw, pitch = self.of["yaw"], self.of["pitch"]
        u = across * yaw.cos() + depth * yaw.sin() * 0.8
        turned = depth * yaw.cos() - across * yaw.sin()
        v = down * pitch.cos() + depth * pitch.sin() * 0.6
        return u, v, (turned / depth).clamp(0.35, 1.1)

    def _ellipse(self, du: Tensor, dv: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
        """Coverage in [0, 1] of an ellipse with half-axes a and b in head units, its edge a pixel wide."""
        inside = 1 - (du / a).square() - (dv / b).square()
        nearer = torch.minimum(a * self.wide, b * self.high)
        return inside.mul_(0.5 * nearer / self.pixel).add_(0.5).clamp_(0, 1)

    def _ellipse_soft(self, du: Tensor, dv: Tensor, a: Tensor | float, b: Tensor | float) -> Tensor:
        """A bump of height 1 that falls off smoothly to the ellipse's edge."""
        return (1 - (du / a).square() - (dv / b).square()).clamp_(min=0).square_()

    def _bump(self, across: float, down: float, a: float, b: float) -> Tensor:
        """A soft ellipse on the front of the head."""
        u, v, squash = self._on_head(across, down)
        return self._ellipse_soft(self.u - u, self.v - v, a * squash, b)

    def _cover(self, mask: Tensor, colour: Tensor) -> None:
        """Lay a colour over the picture where the mask (B, H, W) is 1."""
        self.light.lerp_(colour.expand_as(self.light), mask[:, None])

    def _darken(self, amount: Tensor) -> None:
        self.light.mul_((1 - amount)[:, None])

    def _lighten(self, amount: Tensor) -> None:
        self.light.mul_((1 + amount)[:, None])


def _scalar(values: Tensor) -> Tensor:
    """(B,) to (B, 1, 1)."""
    return values[:, None, None]


def _linear(colour: Tensor) -> Tensor:
    """An sRGB colour (B, 3), to linear light (B, 3, 1, 1)."""
    return colour.pow(2.2)[:, :, None, None]


def _step(values: Tensor, at: float) -> Tensor:
    """0 below, 1 above, over a tenth."""
    return ((values - at) * 10 + 0.5).clamp(0, 1)


def _ramp(values: Tensor, below: Tensor, width: Tensor) -> Tensor:
    """1 where values lie below the bound, 0 above, over ``width``."""
    return ((below - values) / width + 0.5).clamp(0, 1)
