"""Step 1, forge: the banks of fakes of this round's generator."""

from io import BytesIO

import numpy as np
from safetensors.torch import load_file

from arena.core.files import write_atomically
from arena.core.progress import Progress
from arena.core.seeding import derive_seed
from arena.generators.base import Generator, TrainableGenerator
from arena.generators.mixing import MixingGrid
from arena.generators.style import StyleGenerator
from arena.race.layout import Bank
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.store import RecordBook

SHOWN = 64
JUDGED = 64


def forge(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Sample train, validation and test banks from G_round (its EMA weights), each by a stream of its own.

    The streams do not depend on the round: image i of every round's test bank comes from the same z, so that the rounds
    can be compared column by column. The judges of a round see that round's banks alone. Beside the banks of a style
    generator lies a grid of mixed styles, to look at; beside the last round's, some of what its judges will test.
    """
    generator = load_generator(race, round_index)
    forged = generator.forge(race.bank.counts, race.seed_of("forge"), race.generator_reals)
    bank = Bank.of(forged, race.data.levels)
    bank.save(race.bank_path(round_index))
    if isinstance(generator, StyleGenerator):
        grid = MixingGrid.of(generator, race.seed_of("mixing"), race.data.levels)
        grid.save(race.run / "banks" / f"mixing_{round_index:02d}.npz")
    if round_index == 0:
        buffer = BytesIO()
        np.savez(buffer, sample=race.data.part("reference").images[:SHOWN].numpy())
        write_atomically(race.run / "banks" / "reals.npz", buffer.getvalue())
    if round_index == race.rounds:
        keep_judged(race, bank)
    return PhaseOutput([], sum(map(len, bank)))


def keep_judged(race: Race, bank: Bank) -> None:
    """Keep, for people to judge, images of both classes that the last round's judges test, as the judges see them.

    ``banks/judged.npz`` holds uint8 ``reals`` and ``fakes``, which came down the evidence path (rule of evidence 1),
    and ``real_ids`` and ``fake_ids``, by which their scores are found. The reals are drawn by the data seed alone.
    """
    reals = race.judge_reals
    seeds = derive_seed(race.data.seed, "judged"), race.seed_of("judged")
    drawn, forged = (
        np.random.default_rng(seed).permutation(n)[:JUDGED]
        for seed, n in zip(seeds, (len(reals), len(bank.test)), strict=True)
    )
    kept = reals[drawn]
    buffer = BytesIO()
    np.savez(
        buffer,
        reals=race.evidence.seen(kept.images).numpy(),
        real_ids=kept.ids,
        fakes=race.evidence.seen(bank.test[forged]).numpy(),
        fake_ids=forged,
    )
    write_atomically(race.run / "banks" / "judged.npz", buffer.getvalue())


def load_generator(race: Race, round_index: int) -> Generator:
    """G_round on the race's device: its averaged weights, or a control as it is."""
    generator = race.new_generator()
    if isinstance(generator, TrainableGenerator):
        generator.load_state_dict(load_file(race.folder(round_index) / "gan" / "generator.safetensors"))
    return generator.to(race.machine.device).eval()
