"""AUC with its error (DeLong, DeLong & Clarke-Pearson 1988) and the other figures of a ROC curve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_curve

from arena.records.schema import Scores


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


# A class ranked without fault may hide a share of 3/n of wrong images at one-sided 95% (the rule of three, Hanley &
# Lippman-Hand 1983). Four unseen wrong images are the fewest whose normal bound is no tighter, down to alpha = 0.01.
UNSEEN_IMAGES = 4
# Over cross-fitted folds every pair of reals of two folds meets twice: one teaches the judge that tests the other, and
# the other way round. DeLong's variance takes folds as independent, and misses that such pairs say the same twice: for
# judges linear in what they learn, up to as much as it has for the reals. Of one sample no unbiased estimate of the
# variance exists (Bengio & Grandvalet 2004), so that much is what we suppose.
FOLD_DEPENDENCE = 2
# Fakes of different banks share no image though they share the index in their bank.
BANK_STRIDE = 1 << 40


@dataclass(frozen=True)
class Influence:
    """An AUC, or a linear combination of AUCs, as the sum of what single images contribute to its error.

    Args:
        value: the AUC, or the combination.
        real: (n,) influence of each real (over cross-fitted folds, times the root of ``FOLD_DEPENDENCE``), and its source in
            ``real_id`` (sorted, unique): where persons are known, of each person, whose images err together.
        fake: (m,) influence of each fake image, and its key in ``fake_id`` (sorted, unique over banks).
        floor: variance that no image seen can show: see ``floor_variance``.
    """

    value: float
    real_id: NDArray[np.int64]
    real: NDArray[np.float64]
    fake_id: NDArray[np.int64]
    fake: NDArray[np.float64]
    floor: float

    @property
    def variance(self) -> float:
        """Variance of ``value`` over draws of the images; for one AUC without folds DeLong's, not below the floor."""
        return float(self.real @ self.real + self.fake @ self.fake) + self.floor

    def of_bank(self, bank: int) -> "Influence":
        """The same of fakes that count as those of another bank, where influences of several banks will meet."""
        return replace(self, fake_id=self.fake_id % BANK_STRIDE + bank * BANK_STRIDE)


def placements(
    real: NDArray[np.floating], fake: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Placement values: of a real the share of fakes that score above it, of a fake the share of reals below it.

    Ties count half. The mean of either is the AUC (Mann & Whitney 1947).

    Args:
        real: (n,) scores of reals.
        fake: (m,) scores of fakes.

    Returns:
        Placements of the reals (n,) and of the fakes (m,), in [0, 1].
    """
    return 1.0 - _share_below(real, fake), _share_below(fake, real)


def _share_below(scores: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of each score the share of the others that lie below it, ties counting half."""
    ordered = np.sort(others)
    return (ordered.searchsorted(scores, "left") + ordered.searchsorted(scores, "right")) / (2.0 * len(others))


def influence(scores: Scores, bank: int = 0) -> Influence:
    """The AUC of one judge, averaged over its folds (never pooled: each fold has a judge of its own), with influences.

    Args:
        scores: per-image scores; every fold holds at least two images of each class, and the reals of each taught the
            judges of the others.
        bank: number of the bank of fakes, where influences of several banks will meet.

    Raises:
        ValueError: if a score is not finite, an image occurs twice, or a fold has fewer than two images of a class.
    """
    if not np.isfinite(scores.score).all():
        raise ValueError("scores must be finite")
    values = np.zeros(len(scores.score))
    aucs = []
    folds = np.unique(scores.fold)
    for fold in folds:
        real, fake = (np.flatnonzero((scores.fold == fold) & (scores.label == label)) for label in (0, 1))
        if min(len(real), len(fake)) < 2:
            raise ValueError(f"fold {fold}: {len(real)} real and {len(fake)} fake images, expected two of each or more")
        of_real, of_fake = placements(scores.score[real], scores.score[fake])
        aucs.append(float(of_fake.mean()))
        for images, placed in ((real, of_real), (fake, of_fake)):
            unbiased = np.sqrt(len(images) * (len(images) - 1.0))
            values[images] = (placed - aucs[-1]) / (unbiased * len(folds))
    auc = float(np.mean(aucs))
    is_real = scores.label == 0
    for image in (scores.image[is_real], scores.image[~is_real]):
        if len(np.unique(image)) < len(image):
            raise ValueError("an image occurs twice among the scores")
    real_id, real = _added([scores.source[is_real]], [values[is_real]])
    fake_id, fake = _added([scores.source[~is_real]], [values[~is_real]])
    seen = float(real @ real + fake @ fake)
    floor = floor_variance(auc, seen, len(real), len(fake))
    meetings = FOLD_DEPENDENCE if len(folds) > 1 else 1
    return Influence(auc, real_id, np.sqrt(meetings) * real, fake_id, fake, floor).of_bank(bank)


def floor_variance(auc: float, seen: float, n_real: int, n_fake: int) -> float:
    """What to add to DeLong's variance where ranks show too little: it is 0 at an AUC of 0 or 1, and where all tie.

    A wrongly ranked image more in each class would add u = 1/n_real^2 + 1/n_fake^2. Near 0 and 1 we suppose
    ``UNSEEN_IMAGES`` of them, less those seen (in units of whole images), so that the bound is no tighter than the rule
    of three; nowhere is the variance below u.

    Args:
        auc: the AUC.
        seen: DeLong's variance.
        n_real: reals tested.
        n_fake: fakes tested.
    """
    u = 1.0 / n_real**2 + 1.0 / n_fake**2
    wrong = min(auc, 1.0 - auc) * min(n_real, n_fake)
    return max((UNSEEN_IMAGES - wrong) * u, u - seen, 0.0)


def combine(influences: Sequence[Influence], weights: Sequence[float]) -> Influence:
    """The weighted sum of AUCs, an image's influences added up: a mean over judges, or a paired difference.

    The floors are taken as wholly dependent in a mean and as independent in a difference.
    """
    pairs = list(zip(influences, weights, strict=True))
    real_id, real = _added([item.real_id for item in influences], [weight * item.real for item, weight in pairs])
    fake_id, fake = _added([item.fake_id for item in influences], [weight * item.fake for item, weight in pairs])
    value = sum(weight * item.value for item, weight in pairs)
    floor = sum(abs(weight) * item.floor for item, weight in pairs)
    return Influence(value, real_id, real, fake_id, fake, floor)


def mean(influences: Sequence[Influence]) -> Influence:
    """The mean of AUCs, such as that of the judges of one technique."""
    return combine(influences, [1.0 / len(influences)] * len(influences))


def _added(
    keys: Sequence[NDArray[np.int64]], values: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    unique, position = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.zeros(len(unique))
    np.add.at(total, position, np.concatenate(values))
    return unique, total
