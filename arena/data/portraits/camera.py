"""A simulated camera: from light to an 8-bit photograph, with the traces a real one leaves.

The chain is that of a digital still camera: optics, pixel aperture, colour filter array, photon and read noise, fixed
sensor pattern, demosaicing, white balance, transfer curve, 8 bits. It is what gives drawn faces the fine structure that
forensic techniques read: interpolation traces of period two, noise that grows with the signal, and a pattern all
photographs share (Lukas, Fridrich & Goljan 2006).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from arena.core.seeding import derive_seed

# High-quality linear interpolation (Malvar, He & Cutler 2004, figure 2), times 8: a missing colour from the 5x5
# neighbourhood. Green at red and blue; red and blue at green from neighbours in the row, in the column; the diagonal.
_GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
_ALONG_ROW = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
_ALONG_COLUMN = [list(row) for row in zip(*_ALONG_ROW, strict=True)]
_DIAGONAL = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]


@dataclass(frozen=True)
class Camera:
    """One camera: the same sensor takes every photograph.

    Args:
        resolution: photosites along a side, and pixels of the photograph.
        seed: of the sensor's fixed pattern.
        blur: standard deviation of the optics' point spread, in photosites.
        full_well: electrons of a saturated green photosite; fewer mean more shot noise.
        read_noise: standard deviation in electrons.
        pattern: standard deviation of the photosites' relative sensitivity (photo-response non-uniformity).
        sensitivity: of red and blue photosites relative to green; white balance undoes it and amplifies their noise.
    """

    resolution: int
    seed: int = 0
    blur: float = 0.65
    full_well: float = 4000.0
    read_noise: float = 6.0
    pattern: float = 0.02
    sensitivity: tuple[float, float] = (0.6, 0.7)

    def photograph(self, light: Tensor, rng: torch.Generator) -> Tensor:
        """Take photographs.

        Args:
            light: (B, 3, S, S) linear light, 0 black to 1 white, S a multiple of the resolution.
            rng: of the shot and read noise.

        Returns:
            uint8 (B, 3, R, R).
        """
        raw = self.expose(light, rng)
        return develop(raw, self.sensitivity)

    def expose(self, light: Tensor, rng: torch.Generator) -> Tensor:
        """The raw mosaic (B, 1, R, R), RGGB, 1 at saturation; signal-dependent noise (Foi et al. 2008)."""
        focused = self._optics(light)
        red, blue = self.sensitivity
        mosaic = focused[:, 1:2].clone()
        mosaic[..., 0::2, 0::2] = focused[:, 0:1, 0::2, 0::2] * red
        mosaic[..., 1::2, 1::2] = focused[:, 2:3, 1::2, 1::2] * blue
        electrons = mosaic.mul_(self.sensor_pattern()).clamp_(min=0).mul_(self.full_well)
        noise = torch.randn(electrons.shape, generator=rng)
        return noise.mul_((electrons + self.read_noise**2).sqrt_()).add_(electrons).div_(self.full_well).clamp_(0, 1)

    def sensor_pattern(self) -> Tensor:
        """Relative sensitivity (R, R) of the photosites, mean about 1."""
        rng = torch.Generator().manual_seed(derive_seed(self.seed, "sensor pattern"))
        return 1 + self.pattern * torch.randn(self.resolution, self.resolution, generator=rng)

    def _optics(self, light: Tensor) -> Tensor:
        """Point spread and square pixel aperture, separable: a matrix for the rows and the same for the columns."""
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
    """Demosaic, white balance, sRGB transfer curve (IEC 61966-2-1), 8 bits: raw (B, 1, R, R) to uint8 (B, 3, R, R)."""
    colour = demosaic(raw)
    colour[:, 0].div_(sensitivity[0])
    colour[:, 2].div_(sensitivity[1])
    colour.clamp_(0, 1)
    encoded = torch.where(colour <= 0.0031308, 12.92 * colour, 1.055 * colour.pow(1 / 2.4) - 0.055)
    return encoded.mul_(255).round_().to(torch.uint8)


def demosaic(raw: Tensor) -> Tensor:
    """The three colours (B, 3, R, R) of an RGGB mosaic (B, 1, R, R), R even, after Malvar, He & Cutler (2004)."""
    kernels = torch.tensor([_GREEN, _ALONG_ROW, _ALONG_COLUMN, _DIAGONAL])[:, None] / 8
    # Reflection about the edge photosite keeps the mosaic's parity.
    green, row, column, diagonal = F.conv2d(F.pad(raw, [2] * 4, mode="reflect"), kernels).unbind(1)
    site = raw[:, 0]
    even, odd = slice(0, None, 2), slice(1, None, 2)
    colour = site[:, None].repeat(1, 3, 1, 1)
    for own, other, rows, columns in ((0, 2, even, even), (2, 0, odd, odd)):  # at red, then at blue photosites
        colour[:, 1, rows, columns] = green[:, rows, columns]
        colour[:, other, rows, columns] = diagonal[:, rows, columns]
        colour[:, own, rows, odd if columns == even else even] = row[:, rows, odd if columns == even else even]
        colour[:, own, odd if rows == even else even, columns] = column[:, odd if rows == even else even, columns]
    return colour
