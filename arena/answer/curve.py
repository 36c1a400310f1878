"""A curve of fresh-judge AUC, by round of the generator or along a sweep, with the covariance of its points.

The same reals judge every round, so a lucky draw of them raises or lowers the whole curve. Each round has fakes of its
own, and judges are drawn anew for every point.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arena.answer.findings import STRONGEST, strongest
from arena.answer.runs import FinishedRun
from arena.config.schema import STACK
from arena.metrics.auc import Influence, mean
from arena.records.schema import ScoreRecord


@dataclass(frozen=True, eq=False)
class RunCurve:
    """The points of one run, or of one seed along a sweep, with the parts of their errors.

    Args:
        judges: (J, R) AUC by judge.
        real_id: (n,) sources of the reals that any point was tested on, sorted.
        real: (R, n) influence of each real on each point, 0 where the point was not tested on it.
        fake: (R,) variance owed to the fakes, and to errors that no image shows.
    """

    judges: NDArray[np.float64]
    real_id: NDArray[np.int64]
    real: NDArray[np.float64]
    fake: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """(R,) AUC of the mean judge."""
        return self.judges.mean(axis=0)

    @property
    def images(self) -> NDArray[np.float64]:
        """(R, R) covariance owed to the test images."""
        return self.real @ self.real.T + np.diag(self.fake)

    def less(self, other: "RunCurve") -> "RunCurve":
        """Return this less another curve at the same points, paired by real and by judge. Their fakes differ."""
        ids = np.union1d(self.real_id, other.real_id)
        judges = min(len(self.judges), len(other.judges))
        difference = self.judges[:judges] - other.judges[:judges]
        return RunCurve(difference, ids, self.on(ids) - other.on(ids), self.fake + other.fake)

    def take(self, points: NDArray[np.intp]) -> "RunCurve":
        """Return the curve of some of its points."""
        return RunCurve(self.judges[:, points], self.real_id, self.real[points], self.fake[points])

    def on(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the influences (R, N) of these reals, which include all of the curve's own."""
        spread = np.zeros((len(self.real), len(ids)))
        spread[:, np.searchsorted(ids, self.real_id)] = self.real
        return spread


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve with its error.

    Args:
        x: (R,) rounds, or places along a sweep.
        values: (R,) AUC, or difference of two.
        covariance: (R, R) of its errors, as far as judges, test images and runs show them.
        techniques: the technique of each point.
        runs: number of runs that it is the mean of.
    """

    x: NDArray[np.float64]
    values: NDArray[np.float64]
    covariance: NDArray[np.float64]
    techniques: tuple[str, ...]
    runs: int

    @property
    def errors(self) -> NDArray[np.float64]:
        """(R,) standard errors."""
        return np.sqrt(np.diag(self.covariance))


def judged(run: FinishedRun) -> dict[tuple[str, int], list[ScoreRecord]]:
    """Return (technique, round) -> its fresh judges in order of seed, where all that were declared left a record."""
    complete = {key: judges for key, judges in run.judges.items() if len(judges) >= run.declared.judge_seeds}
    return {key: [judges[seed] for seed in sorted(judges)] for key, judges in complete.items()}


def by_round(runs: Sequence[FinishedRun], fit: Collection[str]) -> dict[str, dict[int, str]]:
    """Return kind of curve -> round -> the technique at that point, judged in every run.

    One kind is the stack, the other the strongest of the ``fit`` techniques. That one is chosen for each round anew, by
    its validation AUC averaged over judges and runs.
    """
    every = [judged(run) for run in runs]
    shared = set.intersection(*(set(of_run) for of_run in every))
    chosen: dict[str, dict[int, str]] = {STACK: {}, STRONGEST: {}}
    for round_index in sorted({round_index for _, round_index in shared}):
        validation = {
            technique: [record.validation_auc for of_run in every for record in of_run[technique, round_index]]
            for technique in fit
            if (technique, round_index) in shared
        }
        if (best := strongest(validation)) is not None:
            chosen[STRONGEST][round_index] = best[0]
        if (STACK, round_index) in shared:
            chosen[STACK][round_index] = STACK
    last = runs[0].declared.last_round  # a curve that ends before it would have the limit of another round
    return {kind: points for kind, points in chosen.items() if last in points}


def run_curve(points: Sequence[Sequence[Influence]]) -> RunCurve:
    """Join the points of one run, or of the runs of one seed along a sweep, given the judges of each point."""
    together = [mean(judges) for judges in points]
    ids = np.unique(np.concatenate([point.real_id for point in together]))
    real = np.zeros((len(points), len(ids)))
    for row, point in zip(real, together, strict=True):
        row[np.searchsorted(ids, point.real_id)] = point.real
    fewest = min(len(judges) for judges in points)
    values = np.array([[judge.value for judge in judges[:fewest]] for judges in points]).T
    return RunCurve(values, ids, real, np.array([float(point.fake @ point.fake) + point.floor for point in together]))


def curve(x: Sequence[float] | NDArray[np.float64], runs: Sequence[RunCurve], techniques: Sequence[str]) -> Curve:
    """Return the mean over runs with its covariance.

    The covariance of one run is that of its images and judges. That of several is the spread between runs, and the part
    that all owe to the reals they share.
    """
    values = np.array([run.values for run in runs])
    covariance = _of_one(runs[0]) if len(runs) == 1 else _of_runs(runs, values)
    return Curve(np.array(x, dtype=float), values.mean(axis=0), covariance, tuple(techniques), len(runs))


def _of_one(run: RunCurve) -> NDArray[np.float64]:
    """The few judges of a point tell little of their spread: it is pooled over points in units of the image error."""
    images = run.images
    judges = len(run.judges)
    if judges < 2:
        return images
    unit = np.diag(images)
    spread = float((run.judges.var(axis=0, ddof=1) / unit).mean())
    return images + np.diag(spread * unit / judges)


def _of_runs(runs: Sequence[RunCurve], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sample covariance of three runs at ten points is singular: one variance and one correlation are pooled.

    The unit is the error that the images alone would give each point. Reals that all runs share do not show in the
    spread between runs. Their part is the mean, over pairs of runs, of the summed products of a real's influences.
    """
    count, points = values.shape
    unit = np.sqrt(np.mean([np.diag(run.images) for run in runs], axis=0))
    rest = (values - values.mean(axis=0)) / unit
    sample = rest.T @ rest / (count - 1)
    variance = float(np.trace(sample)) / points
    across = (float(sample.sum()) - np.trace(sample)) / (points * (points - 1)) if points > 1 else 0.0
    correlation = min(max(across / variance, 0.0), 0.95) if variance > 0 else 0.0
    between = variance * ((1 - correlation) * np.eye(points) + correlation) * np.outer(unit, unit) / count
    ids = np.unique(np.concatenate([run.real_id for run in runs]))
    spread = [run.on(ids) for run in runs]
    total = np.sum(spread, axis=0)
    shared = (total @ total.T - sum(real @ real.T for real in spread)) / (count * (count - 1))
    eigenvalues, vectors = np.linalg.eigh(shared)  # the nearest covariance has no eigenvalue below 0 (Higham 1988)
    return between + (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
