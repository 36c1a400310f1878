"""Mix the styles of a style generator, and forge grids of mixed images."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from arena.core.files import write_atomically
from arena.core.seeding import derive_seed
from arena.generators.style import LEVELS, StyleGenerator
from arena.imaging.images import on_levels, to_uint8


def wide(code: Tensor, n_styles: int) -> Tensor:
    """The W+ code (B, n_styles, z_dim) that has w (B, z_dim) in every layer; a W+ code is returned as it is."""
    return code if code.ndim == 3 else code[:, None].expand(-1, n_styles, -1)


def mix(source: Tensor, destination: Tensor, layers: slice) -> Tensor:
    """The styles of ``layers`` copied from the source, all others kept of the destination.

    The coarse styles bring the source's pose, hair and face shape, and leave the destination its colours and finer
    features; the fine ones bring the colours.

    Args:
        source: W+ codes (..., n_styles, z_dim).
        destination: the same; the leading dimensions of both are broadcast.
        layers: to copy, such as ``generator.style_levels["coarse"]``.

    Returns:
        New codes, (..., n_styles, z_dim).
    """
    source, kept = torch.broadcast_tensors(source, destination)
    mixed = kept.clone()
    mixed[..., layers, :] = source[..., layers, :]
    return mixed


def crossed(sources: Tensor, destinations: Tensor, layers: slice) -> Tensor:
    """Every source with every destination: W+ codes (S, ...) and (D, ...) to (S, D, n_styles, z_dim)."""
    return mix(sources[:, None], destinations[None], layers)


SOURCES, DESTINATIONS = 5, 6
PSI = 0.7


class MixingGrid(NamedTuple):
    """Pictures to look at, never to judge by: their codes are truncated.

    Args:
        sources: uint8 (S, C, H, W), on the data's grey levels.
        destinations: uint8 (D, C, H, W).
        coarse: uint8 (S, D, C, H, W): at (i, j) destination j with the coarse styles of source i.
        middle: the same of the middle styles.
        fine: the same of the fine ones.
        sides: int64 (3, 2), smallest and largest side in pixels of each level's layers.
        psi: by which w was drawn towards its mean (StyleGAN, appendix B).
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
    def of(cls, generator: StyleGenerator, seed: int, levels: int, psi: float = PSI) -> Self:
        """Forge a grid; sources and destinations have streams of their own, and noise inputs are the frozen ones.

        Args:
            generator: in eval mode.
            seed: of the streams. The same for every round, it shows what became of the same mixtures.
            levels: grey levels of the data.
            psi: 1 for no truncation.
        """
        codes, device = [], generator.w_average.device
        for name, count in (("sources", SOURCES), ("destinations", DESTINATIONS)):
            rng = torch.Generator().manual_seed(derive_seed(seed, "bank", player=f"mixing/{name}"))
            z = torch.randn(count, generator.z_dim, generator=rng).to(device)
            codes.append(wide(generator.truncated(z, psi), generator.n_styles))

        def images(code: Tensor) -> Tensor:
            return to_uint8(on_levels(generator.images_of(code, "frozen").float().cpu(), levels))

        layers = generator.style_levels
        mixed = [images(crossed(codes[0], codes[1], layers[level]).flatten(0, 1)) for level in LEVELS]
        sides = [(min(its), max(its)) for its in (generator.sides[layers[level]] for level in LEVELS)]
        return cls(
            *map(images, codes),
            *(grid.unflatten(0, (SOURCES, DESTINATIONS)) for grid in mixed),
            sides=torch.tensor(sides),
            psi=torch.tensor(psi, dtype=torch.float64),
        )

    def save(self, path: Path) -> None:
        """As an npz, whole or not at all; equal grids make equal files."""
        buffer = BytesIO()
        np.savez(buffer, **{name: values.numpy() for name, values in self._asdict().items()})
        write_atomically(path, buffer.getvalue())
