"""The features of a face, each a few strokes: mouth, beard, nose, eyes, brows, spectacles."""

import torch

from arena.data.easel import Easel, coverage, linear, over, scalar

SIDES = (-1, 1)


def mouth(easel: Easel) -> None:
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


def beard(easel: Easel) -> None:
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


def nose(easel: Easel) -> None:
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


def eyes(easel: Easel) -> None:
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


def brows(easel: Easel) -> None:
    """An arch of hair above each eye."""
    of = easel.of
    for side in SIDES:
        u, v, squash = easel.on_head(side * (of["eye_distance"] + 0.02), -0.27)
        du = (easel.u - u) / squash
        dv = easel.v - v - of["brow_tilt"] * side * du - 0.9 * du.square()
        mask = easel.ellipse(du, dv + 0.02, 0.25, 0.05 * of["brow"]) * easel.head_mask
        easel.cover(mask * 0.8, easel.hair * 0.6)


def spectacles(easel: Easel) -> None:
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
