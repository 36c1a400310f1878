"""Blur and JPEG, by which detectors are hardened in training (Wang, Wang, Zhang, Owens & Efros 2020)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from arena.core.errors import require
from arena.imaging.evidence import codec
from arena.imaging.images import on_levels

STRONGEST_BLUR = 3.0
"""Deviation in pixels."""
WINDOW = 25
"""Pixels of the blur's window: four of the largest deviations either way."""
QUALITIES = (30, 100)


@dataclass(frozen=True)
class DetectorAugmentation:
    """Some images blurred, some compressed, mirrored or turned; all others stay as they are, bit for bit.

    The authors crop after compression, so that JPEG's grid of 8x8 pixels lies anywhere; here it begins at the corner of
    the crop. Their codec is OpenCV's or Pillow's by chance; here it is Pillow's.

    Args:
        levels: grey levels of the data, to which whatever was blurred or compressed is rounded, as a file would be.
        blur: probability of a Gaussian blur, its deviation uniform in [0, 3] pixels.
        jpeg: probability, independent of the blur's, of the real codec after it, its quality uniform in 30 to 100.
        flip: whether half of the images are mirrored, left to right.
        turn: whether each image is turned by a multiple of 90 degrees, all four alike.

    Raises:
        ArenaError: for what is no probability.
    """

    levels: int
    blur: float
    jpeg: float
    flip: bool = True
    turn: bool = False

    def __post_init__(self) -> None:
        for key, value in (("blur", self.blur), ("jpeg", self.jpeg)):
            require(0 <= value <= 1, key, value, "a probability, 0 to 1")

    @torch.no_grad()
    def __call__(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Images (B, C, H, W) in [-1, 1], altered; as much is drawn from ``rng`` whatever is done to them."""
        chance, strength = torch.rand(2, 4, len(images), generator=rng)
        with torch.autocast(images.device.type, enabled=False):  # bf16 would lose grey levels
            changed = images.clone()
            if len(which := (chance[0] < self.blur).nonzero()[:, 0]):
                changed[which] = on_levels(_blurred(changed[which], STRONGEST_BLUR * strength[0, which]), self.levels)
            low, high = QUALITIES
            qualities = low + (strength[1] * (high - low + 1)).long()
            for k in (chance[1] < self.jpeg).nonzero()[:, 0].tolist():
                changed[k : k + 1] = on_levels(codec(changed[k : k + 1], int(qualities[k])), self.levels)
            if self.flip and len(which := (chance[2] < 0.5).nonzero()[:, 0]):
                changed[which] = changed[which].flip(-1)
            for quarters in range(1, 4) if self.turn else ():
                if len(which := ((chance[3] * 4).long() == quarters).nonzero()[:, 0]):
                    changed[which] = changed[which].rot90(quarters, (-2, -1))
        return changed


def _blurred(images: Tensor, deviations: Tensor) -> Tensor:
    """Each image (n, C, H, W) under its own Gaussian (n,); beyond its edges an image goes on as it ended."""
    from kornia.filters import gaussian_blur2d  # slow to import

    # A deviation of 0 would divide by it; at 0.01 pixels the window is 1 at its centre and 0 elsewhere.
    sigma = deviations.clamp_min(1e-2).to(images.device)[:, None].expand(-1, 2)
    return gaussian_blur2d(images, (WINDOW, WINDOW), sigma, border_type="replicate")
