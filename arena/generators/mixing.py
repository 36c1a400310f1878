"""Mix the styles of a style generator, and forge grids of mixed images."""

from pathlib import Path
from typing import NamedTuple, Self

import torch
from torch import Tensor

from arena.core.files import save_arrays
from arena.core.seeding import derive_seed
from arena.generators.style import LEVELS, StyleGenerator
from arena.imaging.images import on_levels, to_uint8

SOURCES, DESTINATIONS = 5, 6
PSI = 0.7
"""Truncation of w towards its mean (StyleGAN, appendix B)."""


def mix(source: Tensor, destination: Tensor, layers: slice) -> Tensor:
    """Return W+ codes with the styles of ``layers`` from the source and all others from the destination.

    Coarse styles carry pose, hair and face shape, fine ones the colours (StyleGAN, section 3.1).

    >>> source, destination = torch.ones(1, 4, 1), torch.zeros(1, 4, 1)
    >>> mix(source, destination, slice(0, 2)).flatten().tolist()
    [1.0, 1.0, 0.0, 0.0]

    Args:
        source: W+ codes (..., n_styles, z_dim).
        destination: the same; the leading dimensions of both are broadcast.
        layers: one of ``generator.style_levels``.
    """
    source, destination = torch.broadcast_tensors(source, destination)
    mixed = destination.clone()
    mixed[..., layers, :] = source[..., layers, :]
    return mixed


class MixingGrid(NamedTuple):
    """Images of sources, destinations and their mixtures. Their codes are truncated: for display, not for judging.

    Args:
        sources: uint8 (S, C, H, W), on the grey levels of the data.
        destinations: uint8 (D, C, H, W).
        coarse: uint8 (S, D, C, H, W): at (i, j) destination j with the coarse styles of source i.
        middle: the same for middle styles.
        fine: the same for fine styles.
        sides: int64 (3, 2), smallest and largest side in pixels of the layers of each level.
        psi: ``PSI``.
    """

    sources: Tensor
    destinations: Tensor
    coarse: Tensor
    middle: Tensor
    fine: Tensor
    sides: Tensor
    psi: Tensor

    @classmethod
    @torch.inference_mode()
    def of(cls, generator: StyleGenerator, seed: int) -> Self:
        """Forge a grid with frozen noise inputs. Sources and destinations have separate random streams of the seed.

        The generator is in eval mode. The same seed in every round shows how the same mixtures develop.
        """
        codes, device = [], generator.w_average.device
        for name, count in (("sources", SOURCES), ("destinations", DESTINATIONS)):
            rng = torch.Generator().manual_seed(derive_seed(seed, "bank", player=f"mixing/{name}"))
            z = torch.randn(count, generator.z_dim, generator=rng).to(device)
            codes.append(generator.w_plus(generator.truncated(z, PSI)))
        sources, destinations = codes

        def images(code: Tensor) -> Tensor:
            return to_uint8(on_levels(generator.images_of(code, "frozen").float().cpu(), generator.levels))

        layers = [generator.style_levels[level] for level in LEVELS]
        mixed = [images(mix(sources[:, None], destinations, level).flatten(0, 1)) for level in layers]
        sides = [generator.sides[level] for level in layers]
        return cls(
            images(sources),
            images(destinations),
            *(grid.unflatten(0, (SOURCES, DESTINATIONS)) for grid in mixed),
            sides=torch.tensor([(min(side), max(side)) for side in sides]),
            psi=torch.tensor(PSI, dtype=torch.float64),
        )

    def save(self, path: Path) -> None:
        """Write an npz, whole or not at all. Equal grids make equal files."""
        save_arrays(path, self._asdict())
