"""Two Gaussians, N(0, 1) for real and N(d, 1) for fake: what every measure of the distance should be, to the digit."""

import math

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from arena.records.schema import Scores


def gaussians(
    rng: np.random.Generator, d: float, n_real: int, n_fake: int, judges: int = 3, folds: int = 3, noise: float = 0.0
) -> list[Scores]:
    """Judges that see x, each with noise of its own: the distance that one of them can see is d / sqrt(1 + noise^2)."""
    x = np.concatenate([rng.normal(size=n_real), rng.normal(d, 1.0, size=n_fake)])
    label = np.repeat([0, 1], [n_real, n_fake]).astype(np.uint8)
    image = np.concatenate([np.arange(n_real), np.arange(n_fake)])
    fold = (image % folds).astype(np.uint8)
    # Any scale and offset: a judge's logits need not be calibrated.
    seen = [3.0 * (x + noise * rng.normal(size=len(x))) + 1.0 for _ in range(judges)]
    return [Scores(score.astype(np.float32), label, image, fold, image) for score in seen]


def true_total_variation(d: float) -> float:
    """2 Phi(d / 2) - 1: the event is x > d / 2."""
    return float(2.0 * norm.cdf(d / 2.0) - 1.0)


def true_jensen_shannon(d: float) -> float:
    """In bits, integrated."""

    def integrand(x: float) -> float:
        p, q = float(norm.pdf(x)), float(norm.pdf(x, d))
        m = 0.5 * (p + q)
        return 0.5 * sum(f * math.log2(f / m) for f in (p, q) if f > 0)

    return float(quad(integrand, -12.0, 12.0 + d, limit=200)[0])


def true_auc(d: float) -> float:
    """Phi(d / sqrt(2)), the best there is: the likelihood ratio grows with x."""
    return float(norm.cdf(d / np.sqrt(2.0)))
