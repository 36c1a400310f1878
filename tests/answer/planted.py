"""Curves with a planted asymptote: what a race of 6 to 10 rounds might show, were its limit known.

Their d' follows a law. Errors are those of the AUC.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arena.answer.laws import auc_of, separation

KINDS = {  # the share of the whole change that lies within the rounds
    "exponential": (0.7, 0.995),
    "power law": (0.7, 0.995),
    "slow exponential": (0.35, 0.7),
    "slow power law": (0.35, 0.7),
    "rising": (0.7, 0.995),
    "flat": (0.7, 0.995),
    "near one": (0.7, 0.995),
    "near half": (0.7, 0.995),
}


class Planted(NamedTuple):
    """A curve, the covariance that its reader is told of, and its true asymptote."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    covariance: NDArray[np.float64]
    asymptote: float


def planted(rng: np.random.Generator, kind: str, sd: float | None = None, rounds: int | None = None) -> Planted:
    """Errors of sd 0.005 to 0.03 at AUC 1/2, less towards 1; correlated up to 0.6; half the time some are not told."""
    x = np.arange(rounds or rng.integers(6, 11), dtype=float)
    seen = rng.uniform(*KINDS[kind])
    power = kind.endswith("power law") or (not kind.endswith("exponential") and rng.random() < 0.5)
    start, end = separation(np.array(_ends(rng, kind)))
    along = np.log1p(x) / np.log1p(x[-1]) if power else x / x[-1]
    truth = auc_of(end + (start - end) * (1 - seen) ** along)
    sd = float(np.exp(rng.uniform(np.log(0.005), np.log(0.03)))) if sd is None else sd
    error = sd * np.sqrt(np.clip(4 * truth * (1 - truth), 0.02, 1))
    correlation, untold = rng.uniform(0, 0.6), rng.uniform(0, 1) * rng.integers(0, 2)
    told = np.outer(error, error) * ((1 - correlation) * np.eye(len(x)) + correlation)
    noise = np.sqrt(1 - untold) * np.linalg.cholesky(told) @ rng.normal(size=len(x))
    noise += np.sqrt(untold) * error * rng.normal(size=len(x))
    y = np.clip(truth + noise, 0, 1)
    return Planted(x, y, max(1 - untold, 0.02) * told + 1e-8 * np.eye(len(x)), float(auc_of(end)))


def _ends(rng: np.random.Generator, kind: str) -> tuple[float, float]:
    """Start and asymptote."""
    if kind == "rising":
        end = rng.uniform(0.6, 0.95)
        return end - rng.uniform(0.05, end - 0.5), end
    if kind == "near one":
        end = rng.uniform(0.97, 0.999)
        return end - rng.uniform(0, 0.3) if rng.random() < 0.5 else rng.uniform(end, 0.9999), end
    if kind == "near half":
        end = rng.uniform(0.49, 0.52)
        return end + rng.uniform(0.05, 0.48), end
    end = rng.uniform(0.5, 0.9)
    return (end if kind == "flat" else end + rng.uniform(0.05, 0.999 - end)), end
