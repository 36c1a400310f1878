"""Step 1, forge: sample the banks of fakes of this round's generator."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arena.core.files import write_atomically
from arena.core.seeding import derive_seed
from arena.generators.mixing import MixingGrid
from arena.generators.style import StyleGenerator
from arena.race.checkpoints import Bank, load_generator
from arena.race.race import Race
from arena.race.runner import PhaseOutput

SHOWN = 64
"""Reference reals kept for figures, and images of each class kept for the quiz."""


def forge(race: Race, round_index: int) -> PhaseOutput:
    """Sample train, validation and test banks from G_round (its EMA weights), each by a stream of its own.

    The streams do not depend on the round. Image i of every round's test bank comes from the same z, so rounds compare
    column by column. The banks of a style generator have a grid of mixed styles beside them. The last round also keeps
    some of the images that its judges will test.
    """
    generator = load_generator(race, round_index)
    forged = generator.forge(race.bank.counts, race.seed_of("forge"), race.generator_reals)
    bank = Bank.of(forged, race.data.levels)
    bank.save(race.layout.bank(round_index))
    if isinstance(generator, StyleGenerator):
        grid = MixingGrid.of(generator, race.seed_of("mixing"), race.data.levels)
        grid.save(race.layout.mixing(round_index))
    if round_index == 0:
        _save(race.layout.reals, sample=race.data.part("reference").images[:SHOWN].numpy())
    if round_index == race.rounds:
        keep_judged(race, bank)
    return PhaseOutput([], sum(map(len, bank)))


def keep_judged(race: Race, bank: Bank) -> None:
    """Keep, for the quiz, images of both classes that the last round's judges test.

    ``banks/judged.npz`` holds uint8 ``reals`` and ``fakes`` after the evidence path (rule of evidence 1), and their ids
    in score files, ``real_ids`` and ``fake_ids``. The data seed alone draws the reals.
    """
    reals = race.judge_reals
    seeds = derive_seed(race.data.seed, "judged"), race.seed_of("judged")
    drawn, forged = (
        np.random.default_rng(seed).permutation(n)[:SHOWN]
        for seed, n in zip(seeds, (len(reals), len(bank.test)), strict=True)
    )
    kept = reals[drawn]
    _save(
        race.layout.judged,
        reals=race.evidence.seen(kept.images).numpy(),
        real_ids=kept.ids,
        fakes=race.evidence.seen(bank.test[forged]).numpy(),
        fake_ids=forged,
    )


def _save(path: Path, **arrays: NDArray[np.generic]) -> None:
    buffer = BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
