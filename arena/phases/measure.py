"""Step 5, measure: quality, variety and memorisation of the fakes (rule of evidence 5)."""

import logging

from arena.arena import Arena
from arena.data.provenance import compare_provenance
from arena.metrics.features import RandomFeatures, at_half_resolution
from arena.metrics.kernel_distance import kernel_distance
from arena.metrics.memorisation import memorisation
from arena.metrics.precision_recall import precision_recall
from arena.phases.forge import load_generator
from arena.phases.phase import Finding
from arena.progress import Progress
from arena.records import ProvenanceRecord, QualityRecord, RecordBook

_log = logging.getLogger(__name__)


def measure(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Compare the test fakes with reference reals, beside what judge reals give at equal n.

    The judge reals stand in for a perfect generator, and at half their resolution for one that nobody would call good.
    """
    reference, fakes = arena.data.part("reference"), arena.forged(round).test
    n = min(len(reference), len(fakes), len(arena.judge_reals))
    features = RandomFeatures(reference.images)
    of_reference, of_fakes = features(reference.images), features(fakes)
    real, fake, held_out = of_reference[:n], of_fakes[:n], arena.judge_reals.images[:n]
    other, blurred = features(held_out), features(at_half_resolution(held_out))
    distance = kernel_distance(real, fake)
    neighbours, real_neighbours = precision_recall(real, fake), precision_recall(real, other)
    seed = arena.seed_of("memorisation")
    seen = load_generator(arena, round).training_set(arena.generator_reals, arena.seed_of("forge"))
    copied = memorisation(of_fakes, features(seen.images), of_reference, seed=seed)
    record = QualityRecord(
        round=round,
        seed=arena.seed,
        n=n,
        kernel_distance=distance.value,
        kernel_distance_error=distance.error,
        real_kernel_distance=kernel_distance(real, other).value,
        blurred_kernel_distance=kernel_distance(real, blurred).value,
        precision=neighbours.precision,
        recall=neighbours.recall,
        density=neighbours.density,
        coverage=neighbours.coverage,
        real_recall=real_neighbours.recall,
        real_coverage=real_neighbours.coverage,
        memorisation=copied.share,
        memorisation_low=copied.low,
        memorisation_high=copied.high,
    )
    return Finding([record] if round else [record, provenance(arena)], n)


def provenance(arena: Arena) -> ProvenanceRecord:
    """How the files of reals and of fakes differ, where both came from files (rule of evidence 9).

    Fakes made here have no files, but real JPEGs carry what the codec did to them: that much is warned of.
    """
    reals, fakes = arena.data.files(), arena.new_generator().files()
    if reals is None or fakes is None:
        lossy = {".jpg", ".jpeg"} & {file.suffix.lower() for file in reals or ()}
        if lossy and arena.evidence.jpeg is None:
            _log.warning("the reals are JPEG files and the fakes were never compressed: consider evidence=jpeg")
        return ProvenanceRecord(round=0, seed=arena.seed, checked=False, differences=())
    found = compare_provenance(reals, fakes)
    for difference in found.differences:
        _log.warning("reals and fakes differ before anyone looks at a pixel: %s", difference)
    return ProvenanceRecord(round=0, seed=arena.seed, checked=True, differences=found.differences)
