"""Curves of known limit, judged many times over: those pinned next to 1 must get no number, a plateau its own.

No race is run. Scores are normal, with the separation that each round's AUC has. Their errors are those of test images
that rounds share: the reals, and fakes of one z that are alike. Each trial goes from scores to limit as an answer does.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from arena.answer.curve import curve, run_curve
from arena.answer.laws import separation
from arena.answer.limit import fit_curve
from arena.config.schema import STACK
from arena.figures.tables import Table, yes
from arena.metrics.auc import Influence, influence
from arena.records.schema import Scores
from arena.studies.calibration.summary import Proportion

TRIALS = 60
REALS, FAKES, JUDGES = 600, 1_800, 2
"""Test images of each trial, and judges of each round."""
OF_IMAGE, OF_Z = 0.8, 0.3
"""Share of a score's variance that the image decides for all judges, and share of a fake's that its z decides."""
MISSED = 0.05
"""Share of limits that the interval may miss."""


@dataclass(frozen=True)
class KnownCurve:
    """A curve of AUC by round.

    Args:
        name: in words.
        aucs: the true AUC of each round.
        limit: the true limit that a number must hold. None where no number may be given.
    """

    name: str
    aucs: tuple[float, ...]
    limit: float | None


def _decaying(start: float, end: float, rounds: int, decay: float) -> tuple[float, ...]:
    return tuple((end + (start - end) * np.exp(-np.arange(rounds) / decay)).tolist())


CURVES = (
    KnownCurve("drift from 0.993 to 0.989", tuple(expit(np.linspace(logit(0.993), logit(0.989), 6)).tolist()), None),
    KnownCurve("drift from 0.993 to 0.984", tuple(expit(np.linspace(logit(0.993), logit(0.984), 10)).tolist()), None),
    KnownCurve("flat at 0.98", (0.98,) * 10, None),
    KnownCurve("flat at 0.98, then a break", (0.98,) * 10 + (0.97, 0.94, 0.88), None),
    KnownCurve("plateau at 0.90 from 0.96", _decaying(0.96, 0.9, 10, 2.0), 0.9),
    KnownCurve("plateau at 0.70 from 0.99", _decaying(0.99, 0.7, 10, 1.5), 0.7),
    KnownCurve("flat at 0.80", (0.8,) * 10, 0.8),
)


class FoundLimits(NamedTuple):
    """Trials of one curve: those that were given a number, and those numbers whose interval holds the limit."""

    numbers: Proportion
    holding: Proportion


def found_limits(known: KnownCurve, trials: int = TRIALS) -> FoundLimits:
    """Return how often a curve is given a number, and how often that holds the truth."""
    rng = np.random.default_rng([len(known.aucs), round(1e4 * known.aucs[0]), round(1e4 * known.aucs[-1])])
    rounds = range(len(known.aucs))
    fitted = [
        fit_curve(curve(rounds, [run_curve(_points(rng, known.aucs))], [STACK] * len(rounds))) for _ in range(trials)
    ]
    limits = [each.limit for each in fitted if each.limit is not None]
    holding = sum(known.limit is not None and limit.low <= known.limit <= limit.high for limit in limits)
    return FoundLimits(Proportion(len(limits), trials), Proportion(holding, len(limits)))


def limits_table(trials: int = TRIALS) -> Table:
    """Tabulate the curves with the number of limits expected and found, one row each."""
    table = [["curve", "rounds", "expected", "numbers", "hold the limit", "holds"]]
    for known in CURVES:
        numbers, holding = found_limits(known, trials)
        if known.limit is None:
            row = ["no number", str(numbers), "", yes(numbers.count == 0)]
        else:
            missed = Proportion(holding.trials - holding.count, holding.trials)
            right = numbers.count > 0 and missed.is_at_most(MISSED)
            row = [f"{known.limit:g}, held by 95%", str(numbers), str(holding), yes(right)]
        table.append([known.name, str(len(known.aucs)), *row])
    return table


def _points(rng: np.random.Generator, aucs: tuple[float, ...]) -> list[list[Influence]]:
    """The judges of each round, on reals that all rounds share and on fakes of the same z."""
    reals, z = rng.normal(size=REALS), rng.normal(size=FAKES)
    points = []
    for apart in separation(np.array(aucs)):
        fakes = np.sqrt(OF_Z) * z + np.sqrt(1 - OF_Z) * rng.normal(size=FAKES)
        image = np.concatenate([reals, fakes])
        points.append([influence(_scores(rng, image, float(apart))) for _ in range(JUDGES)])
    return points


def _scores(rng: np.random.Generator, image: NDArray[np.float64], apart: float) -> Scores:
    label = np.repeat([0, 1], [REALS, FAKES]).astype(np.uint8)
    ids = np.concatenate([np.arange(REALS), np.arange(FAKES)])
    score = np.sqrt(OF_IMAGE) * image + np.sqrt(1 - OF_IMAGE) * rng.normal(size=len(image)) + apart * label
    return Scores(score.astype(np.float32), label, ids, np.zeros(len(ids), dtype=np.uint8), ids)
