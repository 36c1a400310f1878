"""How far apart real and fake are at least: bounds on two divergences from what held-out scores achieve.

Whatever is computed from an image can only lose what tells the classes apart (data processing), so that every judge's
success on images it did not learn from bounds the divergence of the two laws from below; none bounds it from above.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from arena.answer.estimate import Estimate, estimate
from arena.answer.limit.panel import Panel
from arena.metrics.delong import BANK_STRIDE, Influence, influence, mean

ALPHA = 0.05


@dataclass(frozen=True)
class LowerBound:
    """A divergence between 0 (real and fake are one law) and 1 (they have nothing in common).

    Args:
        found: what the scores achieve; an estimate of what these judges can show, not of the truth.
        low: the truth is at least this, with 95% confidence; 0 where the scores show nothing.
    """

    found: float
    low: float


def total_variation(runs: Sequence[Panel], alpha: float = ALPHA) -> LowerBound:
    """Lower bound on TV = sup_A |P(A) - Q(A)|: at equal priors nobody is right more often than in (1 + TV) / 2.

    The larger of two bounds that share the error: TPR - FPR of decisions at recalibrated logit 0 (Le Cam), and
    1 - sqrt(2 (1 - AUC)), since no AUC exceeds 1 - (1 - TV)^2 / 2 (Sadasivan et al. 2023). Each judge of each fold has
    a bound of its own, which holds for their mean too: an image counts once, with the mean of what its judges say, and
    how judges differ adds no error.

    Args:
        runs: the panel of one run; or of several runs, for the mean over runs like them.
        alpha: one-sided.
    """
    wrong = [_risk(run, 0.5 - 0.5 * np.sign(run.evidence) * _sign(run), 1.0, bank) for bank, run in enumerate(runs)]
    area = estimate([[mean([influence(judge, bank) for judge in run.judges])] for bank, run in enumerate(runs)])
    by_decision = 1.0 - 2.0 * _high(wrong, alpha / 2)
    by_area = 1.0 - float(np.sqrt(2.0 * (1.0 - np.clip(area.low(alpha / 2), 0.5, 1.0))))
    return _within(1.0 - 2.0 * _estimate(wrong, alpha).value, max(by_decision, by_area))


def jensen_shannon(runs: Sequence[Panel], alpha: float = ALPHA) -> LowerBound:
    """Lower bound on the Jensen-Shannon divergence in bits: 1 less the class-balanced log loss (Goodfellow 2014).

    It is what an image tells, on average, about its being real or fake. Logits are recalibrated first: an overconfident
    judge would hide what it knows. Judges, folds and runs as in ``total_variation``.
    """
    loss = [
        _risk(
            run,
            np.logaddexp(0.0, -_sign(run) * run.evidence) / np.log(2.0),
            float(np.logaddexp(0.0, run.most.max()) / np.log(2.0)),
            bank,
        )
        for bank, run in enumerate(runs)
    ]
    return _within(1.0 - _estimate(loss, alpha).value, 1.0 - _high(loss, alpha))


@dataclass(frozen=True, eq=False)
class _Risk:
    """A mean loss of held-out images, and the most that one image more could have added to it."""

    loss: Influence
    one_image: float


def _risk(run: Panel, losses: NDArray[np.float64], largest: float, bank: int) -> _Risk:
    """Mean loss of held-out images, both classes and all folds weighing alike, and what each source adds to its error.

    Args:
        run: of J judges on N images.
        losses: (J, N) in [0, ``largest``].
        largest: what a wholly wrong image costs.
        bank: number of the bank of fakes.
    """
    images, loss = run.images, losses.mean(axis=0)
    folds = np.unique(images.fold)
    value, error = 0.0, np.zeros(len(loss))
    for fold in folds:
        for label in (0, 1):
            here = (images.fold == fold) & (images.label == label)
            share, count = 0.5 / len(folds), int(here.sum())
            value += share * float(loss[here].mean())
            error[here] = share * (loss[here] - loss[here].mean()) / np.sqrt(count * (count - 1.0))
    is_fake = images.label == 1
    keys = images.source + np.where(is_fake, bank * BANK_STRIDE, 0)
    (real_id, real), (fake_id, fake) = (_by_source(keys[which], error[which]) for which in (~is_fake, is_fake))
    one_image = 0.5 * (largest - value) / min(len(real_id), len(fake_id))
    return _Risk(Influence(value, real_id, real, fake_id, fake, floor=0.0), one_image)


def _estimate(risks: Sequence[_Risk], alpha: float) -> Estimate:
    unseen = _unseen(alpha) * np.mean([risk.one_image for risk in risks]) ** 2
    found = estimate([[risk.loss] for risk in risks])
    return replace(found, of_images=found.of_images + float(unseen))


def _high(risks: Sequence[_Risk], alpha: float) -> float:
    """Upper bound on a mean loss: as if z^2 / 2 wholly wrong images more had been seen (Agresti & Coull 1998).

    Where few images are wrong, the variance of those seen says too little. One-sided, such a bound on a count of k
    is no tighter than the exact one of Poisson: 3.3 where k = 0, 4.9 where k = 1 (exact: 3.0 and 4.7).
    """
    found = _estimate(risks, alpha)
    return found.high(alpha) + _unseen(alpha) * float(np.mean([risk.one_image for risk in risks]))


def _unseen(alpha: float) -> float:
    return float(norm.isf(alpha)) ** 2 / 2.0


def _sign(run: Panel) -> NDArray[np.float64]:
    """(N,) -1 for real, 1 for fake."""
    return 2.0 * run.images.label.astype(np.float64) - 1.0


def _by_source(keys: NDArray[np.int64], error: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    unique, position = np.unique(keys, return_inverse=True)
    total = np.zeros(len(unique))
    np.add.at(total, position, error)
    return unique, total


def _within(found: float, low: float) -> LowerBound:
    return LowerBound(float(np.clip(found, 0.0, 1.0)), float(np.clip(low, 0.0, 1.0)))
