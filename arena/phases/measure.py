"""Step 5, measure: quality, variety and memorisation of the fakes (rule of evidence 5)."""

from arena.arena import Arena
from arena.metrics.features import RandomFeatures, at_half_resolution
from arena.metrics.kernel_distance import kernel_distance
from arena.metrics.memorisation import memorisation
from arena.metrics.precision_recall import precision_recall
from arena.phases.forge import load_generator
from arena.phases.phase import Finding
from arena.progress import Progress
from arena.records import QualityRecord, RecordBook


def measure(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Compare the test fakes with reference reals, beside what judge reals give at equal n.

    The judge reals stand in for a perfect generator, and at half their resolution for one that nobody would call good.
    """
    reference, fakes = arena.data.part("reference"), arena.forged(round).test
    n = min(len(reference), len(fakes), len(arena.judge_reals))
    features = RandomFeatures(reference.images)
    real, other = features(reference.images[:n]), features(arena.judge_reals.images[:n])
    blurred, fake = features(at_half_resolution(arena.judge_reals.images[:n])), features(fakes[:n])
    distance = kernel_distance(real, fake)
    neighbours, real_neighbours = precision_recall(real, fake), precision_recall(real, other)
    seed = arena.seed_of("memorisation")
    seen = load_generator(arena, round).training_set(arena.generator_reals, arena.seed_of("forge"))
    copied = memorisation(features(fakes), features(seen.images), features(reference.images), seed=seed)
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
    return Finding([record], n)
