"""Draw the attributes of faces at random."""

from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor

# sRGB anchors, from light to dark (skin), from unpigmented to black (hair), and the common eye colours.
_SKIN = torch.tensor(
    [[0.97, 0.83, 0.74], [0.89, 0.69, 0.55], [0.72, 0.50, 0.36], [0.55, 0.37, 0.27], [0.40, 0.27, 0.21]]
)
_HAIR = torch.tensor(
    [[0.87, 0.73, 0.48], [0.62, 0.42, 0.22], [0.38, 0.24, 0.14], [0.20, 0.13, 0.09], [0.07, 0.06, 0.06]]
)
_EYES = torch.tensor([[0.33, 0.53, 0.75], [0.42, 0.55, 0.40], [0.50, 0.36, 0.18], [0.28, 0.16, 0.09]])


@dataclass(frozen=True)
class FaceAttributes:
    """Attributes of B faces: float32 (B,), (B, 3) for a colour in sRGB, (B, 2) for a position or direction.

    Angles are in radians, and lengths are relative to the head. Lengths in the frame are relative to the picture, which
    spans -1 to 1.
    """

    yaw: Tensor
    """Positive turns to the right of the picture."""
    pitch: Tensor
    """Positive looks down."""
    roll: Tensor
    position: Tensor
    """(B, 2) centre of the head in the frame."""
    size: Tensor
    """Half the head's height, in the frame."""
    face_width: Tensor
    jaw: Tensor
    """Negative tapers to a narrow chin, positive is square."""
    skin_tone: Tensor
    """0 light to 1 dark."""
    skin_hue: Tensor
    """Negative rosy, positive yellowish."""
    skin_texture: Tensor
    """Contrast of the skin's blotches and freckles."""
    hair_length: Tensor
    """0 shaven, 0.3 short, 0.6 to the chin, 1 below the shoulders."""
    hair_volume: Tensor
    hair_parting: Tensor
    """Position of the parting: -1 left to 1 right."""
    hair_fringe: Tensor
    """Length of the fringe: 0 none to 1 down to the brows."""
    hair_curl: Tensor
    hair_colour: Tensor
    eye_colour: Tensor
    eye_size: Tensor
    eye_distance: Tensor
    eye_open: Tensor
    gaze: Tensor
    """(B, 2), right and down positive."""
    brow: Tensor
    """Thickness."""
    brow_tilt: Tensor
    nose_width: Tensor
    nose_length: Tensor
    mouth_width: Tensor
    smile: Tensor
    """Negative droops."""
    mouth_open: Tensor
    lips: Tensor
    """Fullness."""
    lip_colour: Tensor
    """0 the skin's own to 1 painted red."""
    beard: Tensor
    """0 none to 1 full."""
    glasses: Tensor
    """0 or 1."""
    light: Tensor
    """(B, 2) direction of the main light, right and down positive."""
    light_contrast: Tensor
    """Share of directional light."""
    exposure: Tensor
    background: Tensor
    background_far: Tensor
    """(B, 3) the colour the background fades to."""
    clothing: Tensor

    @classmethod
    def draw(cls, n: int, rng: torch.Generator) -> Self:
        """Draw n faces independently."""

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return torch.rand(n, *shape, generator=rng) * (high - low) + low

        def normal(spread: float, limit: float, *shape: int) -> Tensor:
            return (torch.randn(n, *shape, generator=rng) * spread).clamp(-limit, limit)

        def chance(probability: float) -> Tensor:
            return (torch.rand(n, generator=rng) < probability).float()

        def coloured(dark: float, bright: float, spread: float) -> Tensor:
            return (uniform(dark, bright, 1) + normal(spread, 0.5, 3)).clamp(0.05, 0.97)

        length = uniform(0, 1) ** 0.8
        bearded = chance(0.45) * (length < 0.5)
        grey = (chance(0.15) * uniform(0.5, 1))[:, None]
        hair = _interpolate(_HAIR, uniform(0, 1)) * uniform(0.85, 1.15, 3)
        painted = chance(0.4) * (length > 0.4)
        return cls(
            yaw=normal(0.36, 0.8),
            pitch=normal(0.12, 0.3),
            roll=normal(0.07, 0.2),
            position=normal(0.04, 0.1, 2) + torch.tensor([0.0, 0.02]),
            size=uniform(0.58, 0.70),
            face_width=uniform(0.70, 0.86),
            jaw=uniform(-0.32, 0.12),
            skin_tone=uniform(0, 1),
            skin_hue=normal(0.5, 1),
            skin_texture=uniform(0.2, 1),
            hair_length=length,
            hair_volume=uniform(0, 1),
            hair_parting=normal(0.5, 1),
            hair_fringe=uniform(0, 1) ** 1.5,
            hair_curl=uniform(0, 1) ** 2,
            hair_colour=(hair * (1 - grey) + 0.72 * grey).clamp(0, 1),
            eye_colour=(_interpolate(_EYES, uniform(0, 1) ** 0.7) * uniform(0.9, 1.1, 3)).clamp(0, 1),
            eye_size=uniform(0.85, 1.2),
            eye_distance=uniform(0.37, 0.45),
            eye_open=uniform(0.55, 1.1),
            gaze=normal(0.4, 1, 2),
            brow=uniform(0.5, 1.4),
            brow_tilt=normal(0.1, 0.25),
            nose_width=uniform(0.75, 1.3),
            nose_length=uniform(0.85, 1.15),
            mouth_width=uniform(0.8, 1.2),
            smile=normal(0.5, 1) + 0.35,
            mouth_open=uniform(-1.4, 1).clamp(min=0),
            lips=uniform(0.7, 1.4),
            lip_colour=painted * uniform(0.3, 1),
            beard=bearded * uniform(0.15, 1),
            glasses=chance(0.18),
            light=torch.stack([normal(0.6, 1.1), normal(0.3, 0.6) - 0.45], 1),
            light_contrast=uniform(0.4, 0.85),
            exposure=uniform(0.85, 1.15),
            background=coloured(0.10, 0.95, 0.08),
            background_far=coloured(0.10, 0.95, 0.08),
            clothing=coloured(0.10, 0.90, 0.14),
        )

    def columns(self) -> dict[str, Tensor]:
        """Return attribute -> (B,) or (B, k) values, in order of declaration."""
        return {column.name: getattr(self, column.name) for column in fields(self)}


def _interpolate(anchors: Tensor, positions: Tensor) -> Tensor:
    """Interpolate the rows of anchors (K, 3) at positions (B,) in [0, 1]."""
    scaled = positions * (len(anchors) - 1)
    below = scaled.floor().long().clamp(max=len(anchors) - 2)
    return torch.lerp(anchors[below], anchors[below + 1], (scaled - below)[:, None])


def skin_colour(faces: FaceAttributes) -> Tensor:
    """Return the sRGB colour (B, 3) of the skin in even light."""
    hue = faces.skin_hue[:, None] * torch.tensor([0.0, 0.015, -0.035])
    return (_interpolate(_SKIN, faces.skin_tone) + hue).clamp(0, 1)
