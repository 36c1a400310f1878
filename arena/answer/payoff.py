"""The payoff matrix: the AUC of every round's detector on every round's generator, with the errors of its cells."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from arena.answer.runs import read_influence
from arena.metrics.auc import Influence
from arena.metrics.interval import Interval
from arena.records.schema import Record, ScoreRecord

Matrix = NDArray[np.float64]

DRAWS = 2_000
ALPHA = 0.05
"""Two-sided level of every interval and test of the game."""
_REACH = float(norm.isf(ALPHA / 2))


@dataclass(frozen=True, eq=False)
class Payoff:
    """One technique's game: the detector is paid the AUC, the generator its complement.

    The errors are those of the test images for these very players. They do not include another training of the same
    players. All cells have the same reals, or a part of them off the diagonal, and fakes of the same z unless these are
    resampled. Their errors are therefore dependent, and differences are often more certain than the cells.

    Args:
        values: (R, R) AUC [g, d] of the detector of round d on the fakes of the generator of round g.
        covariance: (R * R, R * R) of the cells in C order, over draws of the test images (DeLong).
        floor: (R, R) variance that no image seen can show (``Influence.floor``), the only one at an AUC of 0 or 1.
    """

    values: Matrix
    covariance: Matrix
    floor: Matrix

    @cached_property
    def noise(self) -> Matrix:
        """(DRAWS, R, R) errors of all cells together. Added to ``values`` they are draws of a bootstrap over images.

        They are the first order of a bootstrap that weights images by normal numbers: the sum over images of weight
        times influence has this covariance, at a cost that does not grow with the images. The floors join as
        independent noise of each cell.
        """
        rng = np.random.default_rng(0)
        variances, directions = np.linalg.eigh(self.covariance + np.diag(self.floor.ravel()))
        factor = directions * np.sqrt(np.clip(variances, 0.0, None))
        return (rng.standard_normal((DRAWS, len(factor))) @ factor.T).reshape(DRAWS, *self.values.shape)

    def linear(self, weights: Matrix, low: float = -1.0, high: float = 1.0) -> Interval:
        """Return the sum of cells times weights (R, R) with its normal interval, cut to [low, high].

        The floors count as in ``arena.metrics.auc.combine``: wholly dependent in a mean, independent in a difference.
        """
        value = float((weights * self.values).sum())
        reach = _REACH * float(np.sqrt(self.variance(weights)))
        return Interval(value, value - reach, value + reach).clipped(low, high)

    def variance(self, weights: Matrix) -> float:
        """Return the variance of that sum over draws of the test images."""
        flat = weights.ravel()
        return float(flat @ self.covariance @ flat + np.abs(flat) @ self.floor.ravel())


def payoff(records: Iterable[Record], technique: str) -> Matrix:
    """Return the payoff matrix of one technique.

    Entry [g, d] is the AUC of the detector of round d on the fakes of the generator of round g. Below the diagonal
    (d < g) the detector never saw these fakes (regime "frozen"). On and above it, it was trained on fakes of that
    round (regime "retrained"). Fresh and transferred judges are no players, and have no entry.

    Returns:
        (rounds, rounds) float64, NaN where nothing was measured. It is (0, 0) if the technique has no record.
    """
    cells = played(records, technique)
    size = 1 + max((max(cell) for cell in cells), default=-1)
    matrix = np.full((size, size), np.nan)
    for cell, record in cells.items():
        matrix[cell] = record.auc
    return matrix


def played(records: Iterable[Record], technique: str) -> dict[tuple[int, int], ScoreRecord]:
    """Return (generator round, detector round) -> the record of the detector's test."""
    return {
        (record.generator_round, record.detector_round): record
        for record in records
        if isinstance(record, ScoreRecord)
        and record.technique == technique
        and record.regime in ("frozen", "retrained")
    }


def read_payoff(run: Path, records: Iterable[Record], technique: str) -> Payoff | None:
    """Return the game of one technique with its errors, from the scores of every cell.

    It is that of the rounds of which all pairs were tested. In an interrupted race, these end before the last. None
    where there is no such round.
    """
    cells = played(records, technique)
    size = 0
    while all((size, k) in cells and (k, size) in cells for k in range(size + 1)):
        size += 1
    if not size:
        return None
    played_all = [cells[cell] for cell in np.ndindex(size, size)]
    return from_influences([read_influence(run, record.scores) for record in played_all])


def from_influences(cells: Sequence[Influence]) -> Payoff:
    """Return the game of R * R cells in C order. Reals and fakes are matched by id: fakes of one index have one z."""
    size = round(len(cells) ** 0.5)
    of_reals = _dense([cell.real_id for cell in cells], [cell.real for cell in cells])
    of_fakes = _dense([cell.fake_id for cell in cells], [cell.fake for cell in cells])
    covariance = of_reals @ of_reals.T + of_fakes @ of_fakes.T
    shape = (size, size)
    return Payoff(
        values=np.reshape([cell.value for cell in cells], shape),
        covariance=covariance,
        floor=np.reshape([cell.floor for cell in cells], shape),
    )


def _dense(ids: Sequence[NDArray[np.int64]], influences: Sequence[Matrix]) -> Matrix:
    """Influences (cells, images), 0 where a cell was not tested on an image."""
    unique, position = np.unique(np.concatenate(ids), return_inverse=True)
    cell = np.repeat(np.arange(len(ids)), [len(images) for images in ids])
    dense = np.zeros((len(ids), len(unique)))
    dense[cell, position] = np.concatenate(influences)
    return dense
