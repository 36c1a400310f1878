"""The article's figure: a grid of sources by destinations for each level of style, forged with a round's banks."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from arena.generators.style import LEVELS, StyleGenerator
from arena.images import on_levels, to_uint8
from arena.mix.codes import crossed, wide
from arena.records import write_atomically
from arena.seeding import derive_seed

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
