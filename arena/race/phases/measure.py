"""Step 5, measure: quality, variety and memorisation of the fakes (rule of evidence 5)."""

import logging

from arena.core.progress import Progress
from arena.data.provenance import compare_provenance
from arena.metrics.quality import at_half_resolution
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import ProvenanceRecord, QualityRecord
from arena.records.store import RecordBook

_log = logging.getLogger(__name__)


def measure(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Compare the test fakes with reference reals, beside what judge reals give at equal n.

    The judge reals stand in for a perfect generator, and at half their resolution for one that nobody would call good.
    """
    meter, fakes = race.quality_meter, race.forged(round_index).test
    quality = meter.quality(fakes)
    held_out = race.held_out_reals.images[: quality.n]
    reals, blurred = meter.quality(held_out), meter.kernel_distance(at_half_resolution(held_out))
    record = QualityRecord(
        round=round_index,
        seed=race.seed,
        features=race.features.name,
        n=quality.n,
        kernel_distance=quality.kernel_distance,
        kernel_distance_error=quality.kernel_distance_error,
        real_kernel_distance=reals.kernel_distance,
        real_kernel_distance_error=reals.kernel_distance_error,
        blurred_kernel_distance=blurred.value,
        frechet_distance=quality.frechet_distance,
        frechet_distance_error=quality.frechet_distance_error,
        real_frechet_distance=reals.frechet_distance,
        real_frechet_distance_error=reals.frechet_distance_error,
        precision=quality.precision,
        recall=quality.recall,
        density=quality.density,
        coverage=quality.coverage,
        real_precision=reals.precision,
        real_recall=reals.recall,
        real_density=reals.density,
        real_coverage=reals.coverage,
        memorisation=quality.memorisation,
        memorisation_low=quality.memorisation_low,
        memorisation_high=quality.memorisation_high,
    )
    return PhaseOutput([record] if round_index else [record, provenance(race)], quality.n)


def provenance(race: Race) -> ProvenanceRecord:
    """How the files of reals and of fakes differ, where both came from files (rule of evidence 9).

    Images made here have no files, but JPEGs carry what the codec did to them: that much is warned of.
    """
    reals, fakes = race.data.files(), race.new_generator().files()
    if reals is None or fakes is None:
        lossy = {".jpg", ".jpeg"} & {file.suffix.lower() for file in reals or fakes or ()}
        if lossy and race.evidence.jpeg is None:
            sides = ("reals", "fakes") if reals else ("fakes", "reals")
            _log.warning("the %s are JPEG files and the %s were never compressed: consider evidence=jpeg", *sides)
        return ProvenanceRecord(round=0, seed=race.seed, checked=False, differences=())
    found = compare_provenance(reals, fakes)
    for difference in found.differences:
        _log.warning("reals and fakes differ before anyone looks at a pixel: %s", difference)
    return ProvenanceRecord(round=0, seed=race.seed, checked=True, differences=found.differences)
