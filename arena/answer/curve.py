"""A curve of fresh-judge AUC, by round of the generator or along a sweep, with the covariance of its points.

The same reals judge every round, so a lucky draw of them raises or lowers the whole curve. Each round has fakes of its
own, and judges are drawn anew for every point.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arena.answer.findings import strongest
from arena.answer.runs import FinishedRun
from arena.config.schema import STACK
from arena.metrics.auc import mean
from arena.records.schema import ScoreRecord

STRONGEST = "strongest"
KINDS = (STACK, STRONGEST)
"""Curves: of the stack, and of the technique that is strongest on validation at each round."""

Judged = Mapping[int, ScoreRecord]
"""Judge seed -> record of a technique's judge at one round."""


class CurvePoint(NamedTuple):
    """A technique's test at one point.

    Args:
        judges: (J,) AUC of each judge.
        real_id: (n,) sources of the reals.
        real: (n,) influence of each real on the mean of the judges.
        fake: variance owed to the fakes, and to errors that no image shows.
    """

    judges: NDArray[np.float64]
    real_id: NDArray[np.int64]
    real: NDArray[np.float64]
    fake: float


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
        return RunCurve(
            self.judges[:judges] - other.judges[:judges],
            ids,
            self.on(ids) - other.on(ids),
            self.fake + other.fake,
        )

    def take(self, points: Sequence[int]) -> "RunCurve":
        """Return the curve of some of its points."""
        which = list(points)
        return RunCurve(self.judges[:, which], self.real_id, self.real[which], self.fake[which])

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


def judged(run: FinishedRun) -> dict[tuple[str, int], dict[int, ScoreRecord]]:
    """Return (technique, round) -> its fresh judges, where all that were declared left a record."""
    judges: dict[tuple[str, int], dict[int, ScoreRecord]] = {}
    for record in run.records:
        if isinstance(record, ScoreRecord) and record.regime == "fresh" and record.judge_seed is not None:
            judges.setdefault((record.technique, record.generator_round), {})[record.judge_seed] = record
    return {key: by_seed for key, by_seed in judges.items() if len(by_seed) >= run.declared.judge_seeds}


def by_round(runs: Sequence[FinishedRun], fit: Collection[str]) -> dict[str, dict[int, str]]:
    """Return kind of curve -> round -> the technique at that point, judged in every run.

    The strongest is chosen for each round anew, by its validation AUC averaged over judges and runs.

    Args:
        runs: one run, or the runs of one condition.
        fit: techniques of single images whose judges are fit, of which the strongest is one.
    """
    every = [judged(run) for run in runs]
    shared = set.intersection(*(set(of_run) for of_run in every))
    chosen: dict[str, dict[int, str]] = {kind: {} for kind in KINDS}
    for round_index in sorted({round_index for _, round_index in shared}):
        validation = {
            technique: [record.validation_auc for of_run in every for record in of_run[technique, round_index].values()]
            for technique in fit
            if (technique, round_index) in shared
        }
        if (best := strongest(validation)) is not None:
            chosen[STRONGEST][round_index] = best[0]
        if (STACK, round_index) in shared:
            chosen[STACK][round_index] = STACK
    last = runs[0].declared.last_round  # a curve that ends before it would have the limit of another round
    return {kind: points for kind, points in chosen.items() if last in points}


def point(run: FinishedRun, judges: Judged) -> CurvePoint:
    """Return the test of one technique's judges at one round.

    Raises:
        ArenaError: if a score file is missing, not the one of its record, or cannot be scored.
    """
    influences = run.influences([judges[seed] for seed in sorted(judges)])
    together = mean(influences)
    fake = float(together.fake @ together.fake) + together.floor
    return CurvePoint(np.array([influence.value for influence in influences]), together.real_id, together.real, fake)


def run_curve(points: Sequence[CurvePoint]) -> RunCurve:
    """Join the points of one run, or of the runs of one seed along a sweep."""
    ids = np.unique(np.concatenate([point.real_id for point in points]))
    real = np.zeros((len(points), len(ids)))
    for row, point in zip(real, points, strict=True):
        row[np.searchsorted(ids, point.real_id)] = point.real
    judges = min(len(point.judges) for point in points)
    return RunCurve(
        np.array([point.judges[:judges] for point in points]).T, ids, real, np.array([point.fake for point in points])
    )


def curve(x: Sequence[float], runs: Sequence[RunCurve], techniques: Sequence[str]) -> Curve:
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
