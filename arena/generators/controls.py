"""Generators that train nothing and whose outcome is known beforehand: they calibrate the instrument."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.data.split import cut
from arena.generators.artefacts import Artefact, Colour, Interpolation, Traits, check, plant
from arena.generators.base import Generator
from arena.imaging.images import to_float


def _halves(reals: Reals) -> tuple[Reals, Reals]:
    """The half the oracle forges from and the half it calls its training set, nobody in both.

    The reals themselves seed the cut, so that it is the same in every round and in the measure of memorisation.
    """
    rng = np.random.default_rng(derive_seed(int(reals.ids.sum()), "oracle"))
    return reals.parted(len(reals) // 2, rng)


def dealt(sources: NDArray[np.int64], counts: Mapping[str, int], seed: int) -> dict[str, NDArray[np.int64]]:
    """Deal images into banks, each image once, no source into two: their indices.

    Where the banks want more than there are, all shrink in proportion; where sources are many images each, by chance.
    """
    wanted, rng = sum(counts.values()), np.random.default_rng(seed)
    sizes = [count * min(len(sources), wanted) // max(wanted, 1) for count in counts.values()]
    bank = cut(sources, np.cumsum(sizes), rng)
    return {
        name: rng.permutation(np.flatnonzero(bank == k))[:size]
        for k, (name, size) in enumerate(zip(counts, sizes, strict=True))
    }


class Oracle(Generator):
    """Its fakes are real images: nobody may catch it beyond what alpha allows.

    Its banks are drawn, disjoint and without replacement, from one half of generator-train; where they want more than
    there is, all shrink in proportion. The other half is its training set, so that its images are new to the measure of
    memorisation.
    """

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Banks of real images; the last banks asked for change nothing in the first ones unless all must shrink."""
        mine, _ = _halves(reals)
        parts = dealt(mine.sources, counts, derive_seed(seed, "bank", player="oracle"))
        return {name: to_float(mine[part].images) for name, part in parts.items()}

    def training_set(self, reals: Reals) -> Reals:
        """The half it never draws from."""
        return _halves(reals)[1]


class Copycat(Generator):
    """Its fakes are copies of generator-train: whatever the detectors say, memorisation must invalidate it."""

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """Banks of copies, each from a stream of its own; an image comes twice only where all have come once."""
        banks = {}
        for name, count in counts.items():
            rng = np.random.default_rng(derive_seed(seed, "bank", player=name))
            turns = [rng.permutation(len(reals)) for _ in range(-(-count // len(reals)))]
            banks[name] = to_float(reals[np.concatenate([*turns, np.empty(0, np.int64)])[:count]].images)
        return banks


class Planted(Generator):
    """The oracle with a faint artefact: it must be caught above each technique's limit of detection.

    Args:
        resolution: side in pixels.
        channels: 1 or 3.
        levels: grey levels of the data.
        kind: of the artefact.
        amplitude: its peak in grey levels of the data (of 255, where the data has 256).
        period: of ``checkerboard`` and ``stripes``; this and all that follow as ``arena.generators.artefacts.Traits``
            has them.
        frequency: of ``spectral_peak``.
        colour: of ``colour_shift``.
        multiplicative: whether ``noise_residual`` is.
        factor: of ``upsampling_trace``.
        interpolation: of ``upsampling_trace``.

    Raises:
        ArenaError: for an artefact that cannot be planted.
    """

    def __init__(
        self,
        *,
        resolution: int,
        channels: int,
        levels: int,
        kind: Artefact,
        amplitude: float,
        period: int = Traits.period,
        frequency: Sequence[float] = Traits.frequency,
        colour: Colour = Traits.colour,
        multiplicative: bool = Traits.multiplicative,
        factor: int = Traits.factor,
        interpolation: Interpolation = Traits.interpolation,
    ) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        self.traits = Traits(period, tuple(frequency), colour, multiplicative, factor, interpolation)
        check(kind, amplitude, levels, resolution, self.traits)
        self.kind: Artefact = kind
        self.amplitude = amplitude
        self.oracle = Oracle(resolution=resolution, channels=channels, levels=levels)

    def forge(self, counts: Mapping[str, int], seed: int, reals: Reals) -> dict[str, Tensor]:
        """The oracle's banks, with the artefact."""
        banks = self.oracle.forge(counts, seed, reals)
        return {name: plant(bank, self.kind, self.amplitude, self.levels, self.traits) for name, bank in banks.items()}

    def training_set(self, reals: Reals) -> Reals:
        """The oracle's."""
        return self.oracle.training_set(reals)
