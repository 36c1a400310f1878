"""A curve of fresh-judge AUC, by round of the generator or along a sweep, with the covariance of its points.

The same reals judge every round, so a lucky draw of them raises or lowers the whole curve. Judges are trained anew for
every point, but those of one seed have training fakes of the same z and the same folds.

Fakes pair by their index in the test bank. A generator draws the z of its test bank from the run's seed alone, the same
in every round and under every access. Equal index is then equal z, unless the fakes are resampled, and the errors of
two points correlate. Controls and folders deal their images by that seed, so that equal index is the same image or,
where the bank's size differs, an unrelated one.

Runs of different seeds never pair. Where an index means nothing, products of two influences have mean 0: pairing is
then unbiased, and adds to a correlation an error of about one over the root of the number of fakes.
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
        fake_id: (m,) indices of the fakes, sorted.
        fake: (R, m) influence of each fake on each point.
        floor: (R,) variance that no image shows.
    """

    judges: NDArray[np.float64]
    real_id: NDArray[np.int64]
    real: NDArray[np.float64]
    fake_id: NDArray[np.int64]
    fake: NDArray[np.float64]
    floor: NDArray[np.float64]

    @property
    def values(self) -> NDArray[np.float64]:
        """(R,) AUC of the mean judge."""
        return self.judges.mean(axis=0)

    @property
    def images(self) -> NDArray[np.float64]:
        """(R, R) covariance owed to the test images."""
        return self.real @ self.real.T + self.fake @ self.fake.T + np.diag(self.floor)

    def less(self, other: "RunCurve") -> "RunCurve":
        """Return this less another curve at the same points, paired by real, fake and judge. Both have one seed."""
        judges = min(len(self.judges), len(other.judges))
        difference = self.judges[:judges] - other.judges[:judges]
        real_id, fake_id = (np.union1d(*ids) for ids in ((self.real_id, other.real_id), (self.fake_id, other.fake_id)))
        real = _spread(self.real, self.real_id, real_id) - _spread(other.real, other.real_id, real_id)
        fake = _spread(self.fake, self.fake_id, fake_id) - _spread(other.fake, other.fake_id, fake_id)
        return RunCurve(difference, real_id, real, fake_id, fake, self.floor + other.floor)

    def take(self, points: NDArray[np.intp]) -> "RunCurve":
        """Return the curve of some of its points."""
        real, fake = self.real[points], self.fake[points]
        return RunCurve(self.judges[:, points], self.real_id, real, self.fake_id, fake, self.floor[points])

    def on(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the influences (R, N) of these reals, which include all of the curve's own."""
        return _spread(self.real, self.real_id, ids)


def _spread(influences: NDArray[np.float64], ids: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.float64]:
    """The influences (R, N) of images ``among`` which are those of ``ids``, 0 for the others."""
    spread = np.zeros((len(influences), len(among)))
    spread[:, np.searchsorted(among, ids)] = influences
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
    complete = {key: judges for key, judges in run.equal_judges.items() if len(judges) >= run.declared.judge_seeds}
    return {key: [judges[seed] for seed in sorted(judges)] for key, judges in complete.items()}


def by_round(runs: Sequence[FinishedRun], fit: Collection[str]) -> dict[str, dict[int, str]]:
    """Return kind of curve -> round -> the technique of the curve, judged at that round in every run.

    One kind is the stack, the other the strongest of the ``fit`` techniques: that with the highest validation AUC at
    the last round, averaged over judges and runs. Its curve is that of this one technique. A curve that changed its
    technique from round to round would have kinks that no law has. It would also have one where fakes begin to be
    resampled. Rounds before that are left out.
    """
    every = [judged(run) for run in runs]
    last = runs[0].declared.last_round  # a curve that ends before it would have the limit of another round
    shared = {
        (technique, number)
        for technique, number in set.intersection(*(set(of_run) for of_run in every))
        if all((number in run.resampled) == (last in run.resampled) for run in runs)
    }
    validation = {
        technique: [record.validation_auc for of_run in every for record in of_run[technique, last]]
        for technique in fit
        if (technique, last) in shared
    }
    chosen = {STACK: STACK} if (STACK, last) in shared else {}
    if (best := strongest(validation)) is not None:
        chosen[STRONGEST] = best[0]
    return {
        kind: dict.fromkeys(sorted(number for name, number in shared if name == technique), technique)
        for kind, technique in chosen.items()
    }


def run_curve(points: Sequence[Sequence[Influence]]) -> RunCurve:
    """Join the points of one run, or of the runs of one seed along a sweep, given the judges of each point."""
    together = [mean(judges) for judges in points]
    real_id, fake_id = (
        np.unique(np.concatenate(ids)) for ids in zip(*((each.real_id, each.fake_id) for each in together), strict=True)
    )
    real = [_spread(each.real[None], each.real_id, real_id) for each in together]
    fake = [_spread(each.fake[None], each.fake_id, fake_id) for each in together]
    fewest = min(len(judges) for judges in points)
    values = np.array([[judge.value for judge in judges[:fewest]] for judges in points]).T
    floor = np.array([each.floor for each in together])
    return RunCurve(values, real_id, np.concatenate(real), fake_id, np.concatenate(fake), floor)


def curve(x: Sequence[float] | NDArray[np.float64], runs: Sequence[RunCurve], techniques: Sequence[str]) -> Curve:
    """Return the mean over runs with its covariance.

    The covariance of one run is that of its images and judges. That of several is the spread between runs, and the part
    that all owe to the reals they share.
    """
    values = np.array([run.values for run in runs])
    covariance = _of_one(runs[0]) if len(runs) == 1 else _of_runs(runs, values)
    return Curve(np.array(x, dtype=float), values.mean(axis=0), covariance, tuple(techniques), len(runs))


def _of_one(run: RunCurve) -> NDArray[np.float64]:
    """Return the covariance of one run's curve: of its images, and of its judges, paired by seed."""
    if len(run.judges) < 2:
        return run.images
    return run.images + _pooled(run.judges, np.sqrt(np.diag(run.images)))


def _of_runs(runs: Sequence[RunCurve], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance of the mean curve of several runs. Reals that all share do not show in their spread.

    Their part is the mean, over pairs of runs, of the summed products of a real's influences. The rest is the spread of
    the runs or what their own images and judges make, whichever is larger.
    """
    count = len(runs)
    ids = np.unique(np.concatenate([run.real_id for run in runs]))
    reals = [run.on(ids) for run in runs]
    total = np.sum(reals, axis=0)
    shared = _nearest((total @ total.T - sum(real @ real.T for real in reals)) / (count * (count - 1)))
    unit = np.sqrt(np.mean([np.diag(run.images) for run in runs], axis=0))
    spread = _pooled(values, unit)
    within = _nearest(np.mean([_of_one(run) for run in runs], axis=0) - shared) / count
    larger = max(spread, within, key=lambda part: float(_over(np.diag(part), unit**2).sum()))
    return shared + larger


def _pooled(values: NDArray[np.float64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance (R, R) of the mean of K curves, values (K, R), by their spread.

    The sample covariance of three curves at ten points is singular. One variance and one correlation are pooled over
    points, in units (R,) of the error that the images alone would give each of them. A point without such an error, as
    that of a difference between two runs with one warm-up, has no spread either.
    """
    count, points = len(values), int((unit > 0).sum())
    if not points:
        return np.zeros((len(unit), len(unit)))
    rest = _over(values - values.mean(axis=0), unit)
    sample = rest.T @ rest / (count - 1)
    variance = float(np.trace(sample)) / points
    across = (float(sample.sum()) - np.trace(sample)) / (points * (points - 1)) if points > 1 else 0.0
    correlation = min(max(across / variance, 0.0), 0.95) if variance > 0 else 0.0
    return variance * ((1 - correlation) * np.eye(len(unit)) + correlation) * np.outer(unit, unit) / count


def _over(values: NDArray[np.float64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values (..., R) over units (R,), 0 where the unit is 0."""
    return np.divide(values, unit, out=np.zeros_like(values), where=unit > 0)


def _nearest(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest covariance, which has no eigenvalue below 0 (Higham 1988)."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(eigenvalues, 0.0)) @ vectors.T
