"""A face in linear light, drawn from its attributes: layers of shapes, back to front."""

import torch
from torch import Tensor

from arena.data.easel import Easel, coverage, linear, over, scalar
from arena.data.face import SIDES, beard, brows, eyes, mouth, nose, spectacles
from arena.data.sitters import Sitters


def paint(sitters: Sitters, size: int, rng: torch.Generator) -> Tensor:
    """Paint B portraits at once.

    Args:
        sitters: the attributes of the B faces.
        size: side in pixels.
        rng: of what no attribute describes: strands of hair, blotches of skin, folds of cloth.

    Returns:
        Linear light (B, 3, size, size), 0 black to 1 white (a highlight may exceed it).
    """
    easel = Easel(sitters, size, rng)
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


def background(easel: Easel) -> None:
    """A wall or a view out of focus: two colours that fade into each other."""
    along = easel.x * easel.phase[:, :1].cos() + easel.y * easel.phase[:, :1].sin()
    blend = (0.5 + 0.5 * along + 0.02 * easel.blotches).clamp(0, 1)
    near, far = linear(easel.sitters.background), linear(easel.sitters.background_far)
    torch.lerp(near, far, blend[:, None], out=easel.light)


def hair_behind(easel: Easel) -> None:
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


def body(easel: Easel) -> None:
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


def head(easel: Easel) -> None:
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


def _relief(easel: Easel) -> Tensor:
    """Relative light of the features' relief: sockets, cheekbones, forehead, chin."""
    relief = 0.10 * easel.bump_on_head(0, -0.5, 0.6, 0.35) + 0.10 * easel.bump_on_head(0, 0.86, 0.25, 0.14)
    for side in SIDES:
        relief = relief - 0.32 * easel.bump_on_head(side * 0.4, -0.06, 0.34, 0.22)
        relief = relief + 0.10 * easel.bump_on_head(side * 0.52, 0.22, 0.3, 0.16)
    return relief - 0.16 * easel.bump_on_head(0, 0.72, 0.3, 0.07)


def hair_before(easel: Easel) -> None:
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
