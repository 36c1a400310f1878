"""What the per-image scores of one judge say: AUC with its error, and the figures at a threshold.

real = 0, fake = 1; a score is a logit, higher means more fake. With several cross-fitting folds every figure is the
mean over folds: each fold was scored by a judge of its own, whose logits have a scale of their own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_curve

from arena.metrics.delong import influence, placements
from arena.records import Scores


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The figures of a ``ScoreRecord``, by the same names: ``ScoreRecord(**dataclasses.asdict(summary), ...)``."""

    auc: float
    auc_low: float
    auc_high: float
    p_above: float
    p_below: float
    average_precision: float
    tpr_at_1pct_fpr: float
    tpr_at_5pct_fpr: float
    eer: float
    log_loss: float
    n_real: int
    n_fake: int


def summarise(scores: Scores, margin: float) -> Summary:
    """Every figure of one judge's test.

    Args:
        scores: per-image scores; each fold holds at least two images of each class.
        margin: e of the test: ``p_above`` tests H0: AUC <= 1/2 + e, ``p_below`` H0: AUC >= 1/2 - e, each one-sided.

    Returns:
        The figures; ``auc_low`` and ``auc_high`` bound a 95% interval (DeLong's, with its floor) within [0, 1].

    Raises:
        ValueError: if a score is not finite, an image occurs twice, or a fold has fewer than two images of a class.
    """
    whole = influence(scores)
    error = float(np.sqrt(whole.variance))
    half_width = float(norm.ppf(0.975)) * error
    figures = np.mean([_figures(*_fold(scores, fold)) for fold in np.unique(scores.fold)], axis=0)
    return Summary(
        auc=whole.value,
        auc_low=max(0.0, whole.value - half_width),
        auc_high=min(1.0, whole.value + half_width),
        p_above=float(norm.sf((whole.value - 0.5 - margin) / error)),
        p_below=float(norm.cdf((whole.value - 0.5 + margin) / error)),
        average_precision=float(figures[0]),
        tpr_at_1pct_fpr=float(figures[1]),
        tpr_at_5pct_fpr=float(figures[2]),
        eer=float(figures[3]),
        log_loss=float(figures[4]),
        n_real=int((scores.label == 0).sum()),
        n_fake=int((scores.label == 1).sum()),
    )


def auc(score: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """Area under the ROC curve of one judge: P(fake scores above real) + P(tie) / 2; no folds, no error."""
    return float(placements(score[label == 0], score[label == 1])[1].mean())


def tpr_at_fpr(score: NDArray[np.floating], label: NDArray[np.integer], fpr: float) -> float:
    """The largest share of fakes found by a threshold that takes at most a share ``fpr`` of the reals for fake."""
    false, true, _ = roc_curve(
        label, score, drop_intermediate=False
    )  # where scores tie, a dropped point may be the one
    return float(true[false <= fpr].max())


def eer(score: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """Equal error rate: where the ROC curve, straight between its points, meets FPR = 1 - TPR."""
    false, true, _ = roc_curve(label, score)
    return float(np.interp(0.0, true + false - 1.0, false))


def log_loss(score: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """Cross-entropy of logits in nats, both classes counting the same: log 2 for a judge that knows nothing."""
    logit = score.astype(np.float64)
    return float(np.logaddexp(0.0, logit[label == 0]).mean() + np.logaddexp(0.0, -logit[label == 1]).mean()) / 2.0


def _fold(scores: Scores, fold: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    here = scores.fold == fold
    return scores.score[here], scores.label[here]


def _figures(score: NDArray[np.float32], label: NDArray[np.uint8]) -> tuple[float, float, float, float, float]:
    """Average precision, TPR at 1% and at 5% FPR, EER, log loss."""
    return (
        float(average_precision_score(label, score)),
        tpr_at_fpr(score, label, 0.01),
        tpr_at_fpr(score, label, 0.05),
        eer(score, label),
        log_loss(score, label),
    )
