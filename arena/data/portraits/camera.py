"""Simulate a digital still camera: from linear light to an 8-bit photograph with a camera's traces.

The stages are optics, pixel aperture, colour filter array, photon and read noise, fixed sensor pattern, demosaicing,
white balance, transfer curve and rounding to 8 bits. They give painted faces the traces that forensic techniques use:
interpolation with period two, noise that grows with the signal, and a sensor pattern that all photographs share (Lukas,
Fridrich & Goljan 2006).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.core.seeding import derive_seed

# Kernels of Malvar, He & Cutler (2004), figure 2, times 8: green at red and blue sites, red or blue at green sites with
# that colour in the row or in the column, and red at blue (or blue at red) sites.
_GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
_ALONG_ROW = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
_ALONG_COLUMN = [list(row) for row in zip(*_ALONG_ROW, strict=True)]
_DIAGONAL = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]


@dataclass(frozen=True)
class Camera:
    """One camera, whose sensor takes every photograph.

    Args:
        resolution: photosites along a side, which is also the side of the photograph in pixels.
        seed: seed of the sensor's fixed pattern.
        blur: standard deviation of the optics' point spread, in photosites.
        full_well: electrons of a saturated green photosite. Fewer electrons mean more shot noise.
        read_noise: standard deviation of the read noise, in electrons.
        pattern: standard deviation of the photosites' relative sensitivity (photo-response non-uniformity).
        sensitivity: sensitivity of red and blue photosites relative to green. White balance divides by it, which
            amplifies their noise.
    """

    resolution: int
    seed: int = 0
    blur: float = 0.65
    full_well: float = 4000.0
    read_noise: float = 6.0
    pattern: float = 0.02
    sensitivity: tuple[float, float] = (0.6, 0.7)

    def photograph(self, light: Tensor, rng: torch.Generator) -> Tensor:
        """Take photographs, uint8 (B, 3, R, R).

        Args:
            light: (B, 3, S, S) linear light, 0 black to 1 white, S a multiple of the resolution R.
            rng: generator of the shot and read noise.
        """
        return develop(self.expose(light, rng), self.sensitivity)

    def expose(self, light: Tensor, rng: torch.Generator) -> Tensor:
        """Return the raw RGGB mosaic (B, 1, R, R), 1 at saturation, with signal-dependent noise (Foi et al. 2008)."""
        focused = self.focus(light)
        red, blue = self.sensitivity
        mosaic = focused[:, 1:2].clone()
        mosaic[..., 0::2, 0::2] = focused[:, 0:1, 0::2, 0::2] * red
        mosaic[..., 1::2, 1::2] = focused[:, 2:3, 1::2, 1::2] * blue
        electrons = mosaic.mul_(self.sensor_pattern()).clamp_(min=0).mul_(self.full_well)
        noise = torch.randn(electrons.shape, generator=rng)
        return noise.mul_((electrons + self.read_noise**2).sqrt_()).add_(electrons).div_(self.full_well).clamp_(0, 1)

    def sensor_pattern(self) -> Tensor:
        """Return the relative sensitivity (R, R) of the photosites, with a mean of about 1."""
        rng = torch.Generator().manual_seed(derive_seed(self.seed, "sensor pattern"))
        return 1 + self.pattern * torch.randn(self.resolution, self.resolution, generator=rng)

    def focus(self, light: Tensor) -> Tensor:
        """Apply the point spread and the square pixel aperture: light (B, 3, S, S) to (B, 3, R, R).

        Both are separable: one matrix filters the rows and the columns.
        """
        fine = light.shape[-1]
        scale = fine // self.resolution
        reach = round(2 * self.blur * scale)
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float32)
        spread = torch.exp(-0.5 * (offsets / (self.blur * scale)) ** 2)
        line = F.conv1d(spread[None, None], torch.ones(1, 1, scale), padding=scale - 1)
        impulses = F.pad(torch.eye(fine)[:, None], [reach, reach], mode="replicate")
        optics = F.conv1d(impulses, line / line.sum(), stride=scale)[:, 0]
        return optics.T @ light @ optics


def develop(raw: Tensor, sensitivity: tuple[float, float]) -> Tensor:
    """Develop a raw mosaic (B, 1, R, R) into a photograph, uint8 (B, 3, R, R).

    The steps are demosaicing, white balance, the sRGB transfer curve (IEC 61966-2-1) and rounding to 8 bits.
    """
    colour = demosaic(raw)
    colour[:, 0].div_(sensitivity[0])
    colour[:, 2].div_(sensitivity[1])
    colour.clamp_(0, 1)
    encoded = torch.where(colour <= 0.0031308, 12.92 * colour, 1.055 * colour.pow(1 / 2.4) - 0.055)
    return encoded.mul_(255).round_().to(torch.uint8)


def demosaic(raw: Tensor) -> Tensor:
    """Interpolate the colours (B, 3, R, R) of an RGGB mosaic (B, 1, R, R), R even (Malvar, He & Cutler 2004)."""
    kernels = torch.tensor([_GREEN, _ALONG_ROW, _ALONG_COLUMN, _DIAGONAL])[:, None] / 8
    # Reflection about the edge photosite keeps the order of colours in the mosaic.
    green, row, column, diagonal = F.conv2d(F.pad(raw, [2] * 4, mode="reflect"), kernels).unbind(1)
    site = raw[:, 0]
    even, odd = slice(0, None, 2), slice(1, None, 2)
    colour = site[:, None].repeat(1, 3, 1, 1)
    for own, other, rows, columns in ((0, 2, even, even), (2, 0, odd, odd)):  # at red, then at blue photosites
        colour[:, 1, rows, columns] = green[:, rows, columns]
        colour[:, other, rows, columns] = diagonal[:, rows, columns]
        other_rows, other_columns = (odd if sites == even else even for sites in (rows, columns))
        colour[:, own, rows, other_columns] = row[:, rows, other_columns]
        colour[:, own, other_rows, columns] = column[:, other_rows, columns]
    return colour
