"""What was scored, in a few lines: each technique's word on the whole folder, and what it is worth."""

from collections.abc import Iterator

from torch import Tensor

from arena.score.panel import Panel


def summary(panel: Panel, probabilities: Tensor, skipped: int, enlarged: int) -> Iterator[str]:
    """Lines for the user.

    Args:
        panel: who scored.
        probabilities: (N, techniques) of being fake.
        skipped: files that could not be read.
        enlarged: images smaller than the run's, which enlarging leaves traces in.
    """
    yield f"{len(probabilities)} images scored by the detectors of round {panel.round}, {skipped} files skipped"
    if enlarged:
        yield f"{enlarged} images are smaller than {panel.resolution} pixels and were enlarged, which leaves traces"
    width = max(map(len, panel.columns))
    for name, column in zip(panel.columns, probabilities.T, strict=True):
        above = float((column > 0.5).double().mean())
        yield f"  {name:<{width}}  mean {column.mean():.3f}, above 1/2: {above:.1%}"
    yield (
        "these probabilities hold for images like those of this run (its data, its generator) "
        "and where as many are fake as real; elsewhere they only rank"
    )
