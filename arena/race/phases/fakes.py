"""Steps 1 and 5: forge the banks of fakes of a round, and measure their quality, variety and memorisation."""

import functools
import logging
from dataclasses import asdict

import numpy as np

from arena.config.schema import STACK
from arena.core.files import files_in, save_arrays
from arena.core.seeding import derive_seed
from arena.data.provenance import compare_provenance
from arena.data.reals import Reals
from arena.generators.mixing import MixingGrid
from arena.generators.style import StyleGenerator
from arena.metrics.guards import GuardMeter
from arena.metrics.quality import QualityMeter
from arena.race.checkpoints import Bank, load_bank, load_generator
from arena.race.forging import forge_banks
from arena.race.race import PhaseOutput, Race
from arena.race.resampling import learn_to_resample
from arena.records.schema import ProvenanceRecord, QualityRecord, kept_in
from arena.training.meter import Meter

SHOWN = 64
"""Reference reals kept for figures, and images of each class kept for the quiz."""
_log = logging.getLogger(__name__)


def forge(race: Race, round_index: int) -> PhaseOutput:
    """Sample train, validation and test banks from G_round (its EMA weights), each by a stream of its own.

    The streams do not depend on the round. Image i of every round's test bank comes from the same z, so rounds compare
    column by column, unless ``resampling`` draws the banks from more candidates. The banks of a style generator have a
    grid of mixed styles beside them. The last round also keeps some of the images that its judges will test.
    """
    meter = Meter()
    records = learn_to_resample(race, round_index, meter) if race.resamples(round_index) else []
    bank = Bank(**forge_banks(race, round_index, race.bank.counts, race.seed_of("forge"), meter))
    bank.save(race.layout.bank(round_index))
    files = [race.layout.bank(round_index)]
    if race.resamples(round_index):
        files += files_in(race.layout.resampler(round_index, STACK).parent)
    generator = load_generator(race, round_index)
    if isinstance(generator, StyleGenerator):
        grid = MixingGrid.of(generator, race.seed_of("mixing"))
        grid.save(race.layout.mixing(round_index))
        files.append(race.layout.mixing(round_index))
    if round_index == 0:
        save_arrays(race.layout.reals, {"sample": race.data.part("reference").images[:SHOWN]})
        files.append(race.layout.reals)
    if round_index == race.rounds:
        keep_judged(race, bank)
        files.append(race.layout.judged)
    return PhaseOutput(records, sum(map(len, bank)), meter.spent, files)


def keep_judged(race: Race, bank: Bank) -> None:
    """Keep, for the quiz, images of both classes that the last round's judges test.

    ``banks/judged.npz`` holds uint8 ``reals`` and ``fakes`` after the evidence path (rule of evidence 1), and their ids
    in score files, ``real_ids`` and ``fake_ids``. The data seed alone draws the reals.
    """
    reals = race.judge_reals
    drawn = np.random.default_rng(derive_seed(race.data.seed, "judged")).permutation(len(reals))[:SHOWN]
    forged = np.random.default_rng(race.seed_of("judged")).permutation(len(bank.test))[:SHOWN]
    kept = reals[drawn]
    arrays = {"reals": race.evidence.seen(kept.images), "real_ids": kept.ids}
    arrays |= {"fakes": race.evidence.seen(bank.test[forged]), "fake_ids": forged}
    save_arrays(race.layout.judged, arrays)


def measure(race: Race, round_index: int) -> PhaseOutput:
    """Compare the test fakes with reference reals, and judge reals with them at equal n.

    The judge reals stand in for a perfect generator. With faint noise they stand in for one whose images differ a
    little.
    """
    quality, reals, figures = guard_meter(race).quality(load_bank(race, round_index).test)
    record = QualityRecord(
        round=round_index,
        seed=race.seed,
        features=race.features.name,
        **asdict(quality),
        **asdict(figures),
        **kept_in(QualityRecord, reals, "real_"),
    )
    return PhaseOutput([record] if round_index else [record, provenance(race)], quality.n)


@functools.lru_cache(maxsize=1)  # the figures of the reals are computed once for all rounds
def guard_meter(race: Race) -> GuardMeter:
    """Return a meter beside the reference reals, at as many images as there are reals on either side."""
    reference, held_out = race.data.part("reference"), held_out_reals(race)
    train = race.new_generator().training_set(race.generator_reals)
    n, seed = min(len(reference), len(held_out)), race.seed_of("memorisation")
    meter = QualityMeter(race.features, reference.images, train.images, n, seed, race.machine.device)
    return GuardMeter(meter, train, reference, held_out, race.data.levels, race.seed_of("unit"))


def held_out_reals(race: Race) -> Reals:
    """Return the judge reals that are not reference reals."""
    reals = race.judge_reals
    return reals[np.flatnonzero(~np.isin(reals.ids, race.data.part("reference").ids))]


def provenance(race: Race) -> ProvenanceRecord:
    """Compare the files of reals and fakes, if both came from files (rule of evidence 9).

    Images made by this race have no files. A warning says if only the other side went through JPEG.
    """
    reals, fakes = race.data.files(), race.new_generator().files()
    if reals is None or fakes is None:
        lossy = {".jpg", ".jpeg"} & {file.suffix.lower() for file in reals or fakes or ()}
        if lossy and race.evidence.jpeg is None:
            sides = ("reals", "fakes") if reals else ("fakes", "reals")
            _log.warning("the %s are JPEG files and the %s were never compressed: consider evidence=jpeg", *sides)
        return ProvenanceRecord(round=0, seed=race.seed, checked=False, differences=())
    differences = compare_provenance(reals, fakes).differences
    for difference in differences:
        _log.warning("the files of reals and fakes differ: %s", difference)
    return ProvenanceRecord(round=0, seed=race.seed, checked=True, differences=differences)
