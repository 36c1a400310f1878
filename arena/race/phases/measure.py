"""Step 5, measure: quality, variety and memorisation of the fakes (rule of evidence 5)."""

import functools
import logging
from dataclasses import asdict

import numpy as np

from arena.data.provenance import compare_provenance
from arena.data.reals import Reals
from arena.metrics.quality import QualityMeter, at_half_resolution
from arena.race.checkpoints import load_bank
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import ProvenanceRecord, QualityRecord, kept_in

_log = logging.getLogger(__name__)


def measure(race: Race, round_index: int) -> PhaseOutput:
    """Compare the test fakes with reference reals, and judge reals with them at equal n.

    The judge reals stand in for a perfect generator. At half their resolution they stand in for a visibly bad one.
    """
    meter = quality_meter(race)
    quality = meter.quality(load_bank(race, round_index).test)
    held_out = held_out_reals(race).images[: quality.n]
    reals, blurred = meter.quality(held_out), meter.kernel_distance(at_half_resolution(held_out))
    record = QualityRecord(
        round=round_index,
        seed=race.seed,
        features=race.features.name,
        blurred_kernel_distance=blurred.value,
        **asdict(quality),
        **kept_in(QualityRecord, reals, "real_"),
    )
    return PhaseOutput([record] if round_index else [record, provenance(race)], quality.n)


@functools.lru_cache(maxsize=1)  # the features of the reals are computed once for all rounds
def quality_meter(race: Race) -> QualityMeter:
    """Return a meter beside the reference reals, at as many images as there are reals on either side."""
    reference = race.data.part("reference")
    train = race.new_generator().training_set(race.generator_reals)
    n = min(len(reference), len(held_out_reals(race)))
    seed = race.seed_of("memorisation")
    return QualityMeter(race.features, reference.images, train.images, n, seed, race.machine.device)


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
