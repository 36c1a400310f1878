"""Step 5, measure: quality, variety and memorisation of the fakes (rule of evidence 5)."""

import logging

from arena.arena import Arena
from arena.data.provenance import compare_provenance
from arena.metrics.quality import at_half_resolution
from arena.phases.phase import Finding
from arena.progress import Progress
from arena.records import ProvenanceRecord, QualityRecord, RecordBook

_log = logging.getLogger(__name__)


def measure(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Compare the test fakes with reference reals, beside what judge reals give at equal n.

    The judge reals stand in for a perfect generator, and at half their resolution for one that nobody would call good.
    """
    meter, fakes = arena.quality_meter, arena.forged(round).test
    quality = meter.quality(fakes)
    held_out = arena.held_out_reals.images[: quality.n]
    reals, blurred = meter.quality(held_out), meter.kernel_distance(at_half_resolution(held_out))
    record = QualityRecord(
        round=round,
        seed=arena.seed,
        features=arena.features.name,
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
    return Finding([record] if round else [record, provenance(arena)], quality.n)


def provenance(arena: Arena) -> ProvenanceRecord:
    """How the files of reals and of fakes differ, where both came from files (rule of evidence 9).

    Images made here have no files, but JPEGs carry what the codec did to them: that much is warned of.
    """
    reals, fakes = arena.data.files(), arena.new_generator().files()
    if reals is None or fakes is None:
        lossy = {".jpg", ".jpeg"} & {file.suffix.lower() for file in reals or fakes or ()}
        if lossy and arena.evidence.jpeg is None:
            sides = ("reals", "fakes") if reals else ("fakes", "reals")
            _log.warning("the %s are JPEG files and the %s were never compressed: consider evidence=jpeg", *sides)
        return ProvenanceRecord(round=0, seed=arena.seed, checked=False, differences=())
    found = compare_provenance(reals, fakes)
    for difference in found.differences:
        _log.warning("reals and fakes differ before anyone looks at a pixel: %s", difference)
    return ProvenanceRecord(round=0, seed=arena.seed, checked=True, differences=found.differences)
