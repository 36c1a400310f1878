"""A curve of fresh-judge AUC, by round of the generator or along a sweep, with the covariance of its points.

The points share what they were tested on: the same reals judge every round, so that a lucky draw of them lifts or
lowers the whole curve. Fakes are each round's own. Judges are drawn anew for every point.
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
"""Of which techniques there is a curve: the stack, and at each round the one that is strongest on validation."""

# The records of a technique's judges at one round, by their seed.
Judged = Mapping[int, ScoreRecord]


class CurvePoint(NamedTuple):
    """A technique's test: AUC of each judge (J,); influence of each real on their mean; variance owed to the fakes."""

    judges: NDArray[np.float64]
    real_id: NDArray[np.int64]
    real: NDArray[np.float64]
    fake: float


@dataclass(frozen=True, eq=False)
class RunCurve:
    """The points of one run (or of one seed along a sweep), with what their errors are made of.

    Args:
        judges: (J, R) AUC by judge.
        real_id: (n,) sources of the reals that any point was tested on, sorted.
        real: (R, n) influence of each real on each point, 0 where it did not test it.
        fake: (R,) variance owed to the fakes, and to what no image seen can show.
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
        """This less another at the same points, paired by real and by judge; their fakes are their own."""
        ids = np.union1d(self.real_id, other.real_id)
        judges = min(len(self.judges), len(other.judges))
        return RunCurve(
            self.judges[:judges] - other.judges[:judges],
            ids,
            self.on(ids) - other.on(ids),
            self.fake + other.fake,
        )

    def take(self, points: Sequence[int]) -> "RunCurve":
        """Those points."""
        which = list(points)
        return RunCurve(self.judges[:, which], self.real_id, self.real[which], self.fake[which])

    def on(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """The influences of those reals (R, N), which include all of the curve's own."""
        spread = np.zeros((len(self.real), len(ids)))
        spread[:, np.searchsorted(ids, self.real_id)] = self.real
        return spread


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve with its error.

    Args:
        x: (R,) rounds, or whatever the curve runs along.
        values: (R,) AUC, or difference of two.
        covariance: (R, R) of its errors, as far as judges, test images and runs show them.
        techniques: the technique of each point.
        runs: how many it is the mean of.
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
    """Fresh judges by technique and round, where all that were declared left a record."""
    found: dict[tuple[str, int], dict[int, ScoreRecord]] = {}
    for record in run.records:
        if isinstance(record, ScoreRecord) and record.regime == "fresh" and record.judge_seed is not None:
            found.setdefault((record.technique, record.generator_round), {})[record.judge_seed] = record
    return {key: judges for key, judges in found.items() if len(judges) >= run.declared.judge_seeds}


def by_round(runs: Sequence[FinishedRun], fit: Collection[str]) -> dict[str, dict[int, str]]:
    """For the stack and the strongest: round -> the technique whose curve passes there, judged in every run.

    The strongest is the one of highest validation AUC, averaged over judges and runs: chosen where its test cannot
    flatter it, and for each round anew.

    Args:
        runs: one run, or the runs of one condition.
        fit: techniques of single images whose judges are fit, of which the strongest is one.
    """
    every = [judged(run) for run in runs]
    shared = set.intersection(*(set(of_run) for of_run in every))
    rounds = sorted({round_index for _, round_index in shared})
    chosen: dict[str, dict[int, str]] = {kind: {} for kind in KINDS}
    for round_index in rounds:
        validation = {
            technique: [record.validation_auc for of_run in every for record in of_run[technique, round_index].values()]
            for technique in fit
            if (technique, round_index) in shared
        }
        if (best := strongest(validation)) is not None:
            chosen[STRONGEST][round_index] = best[0]
        if (STACK, round_index) in shared:
            chosen[STACK][round_index] = STACK
    last = runs[0].declared.last_round  # a curve that breaks off before it would name another round's limit
    return {kind: points for kind, points in chosen.items() if last in points}


def point(run: FinishedRun, judges: Judged) -> CurvePoint:
    """The test of one technique's judges at one round.

    Raises:
        ArenaError: if a score file is missing, not the one of its record, or cannot be scored.
    """
    influences = run.influences([judges[seed] for seed in sorted(judges)])
    together = mean(influences)
    fake = float(together.fake @ together.fake) + together.floor
    return CurvePoint(np.array([influence.value for influence in influences]), together.real_id, together.real, fake)


def run_curve(points: Sequence[CurvePoint]) -> RunCurve:
    """The points of one run, or of the runs of one seed along a sweep."""
    ids = np.unique(np.concatenate([point.real_id for point in points]))
    real = np.zeros((len(points), len(ids)))
    for row, point in zip(real, points, strict=True):
        row[np.searchsorted(ids, point.real_id)] = point.real
    judges = min(len(point.judges) for point in points)
    return RunCurve(
        np.array([point.judges[:judges] for point in points]).T, ids, real, np.array([point.fake for point in points])
    )


def curve(x: Sequence[float], runs: Sequence[RunCurve], techniques: Sequence[str]) -> Curve:
    """The mean over runs with its covariance.

    One run: its images and judges. Several: the spread between runs, which holds all that is a run's own, and what all
    owe to the reals they share.
    """
    values = np.array([run.values for run in runs])
    covariance = _of_one(runs[0]) if len(runs) == 1 else _of_runs(runs, values)
    return Curve(np.array(x, dtype=float), values.mean(axis=0), covariance, tuple(techniques), len(runs))


def _of_one(run: RunCurve) -> NDArray[np.float64]:
    """Judges are few at each point, so that their spread is pooled over points in units of the error of the images."""
    images = run.images
    judges = len(run.judges)
    if judges < 2:
        return images
    unit = np.diag(images)
    spread = float((run.judges.var(axis=0, ddof=1) / unit).mean())
    return images + np.diag(spread * unit / judges)


def _of_runs(runs: Sequence[RunCurve], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sample covariance of three runs at ten points is singular: one variance and one correlation are pooled.

    In units of the error that the images alone would give each point. Reals shared by all runs do not show in the
    spread between them: their part is the mean, over pairs of runs, of the summed products of a real's influences.
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
    return between + _nearest(shared)


def _nearest(symmetric: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest matrix that is a covariance: no eigenvalue below 0 (Higham 1988)."""
    values, vectors = np.linalg.eigh(symmetric)
    return (vectors * np.maximum(values, 0.0)) @ vectors.T
