"""Measure a detector by its scores: the AUC with its error (DeLong et al. 1988), and other figures of the ROC curve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_curve

from arena.metrics.interval import Interval
from arena.records.schema import Scores, Summary

UNSEEN_IMAGES = 4
"""Wrongly ranked images supposed if none was seen.

A class without a ranking error may still hide a share of 3/n of them, at one-sided 95% (the rule of three, Hanley &
Lippman-Hand 1983). Four images are the fewest whose normal bound is at least as wide, down to alpha = 0.01.
"""
FOLD_DEPENDENCE = 2
"""Factor on the variance that reals contribute to a cross-fitted AUC.

Each fold's judge is trained on the reals of the other folds. A pair of reals of two folds therefore counts twice: one
trains the judge that scores the other, and the other way round. DeLong's variance treats folds as independent and
misses this covariance. For judges that are linear in their training images it is at most as large as the variance
itself, hence 2. One sample admits no unbiased estimate of it (Bengio & Grandvalet 2004).
"""
BANK_STRIDE = 1 << 40
"""Offset between the keys of fakes in different banks, which are different images under the same index."""
_DRAWS = 4_000


def auc(score: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """Return the area under the ROC curve of one judge: P(fake scores above real) + P(tie) / 2.

    >>> auc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
    0.875
    """
    return float(placements(score[label == 0], score[label == 1])[1].mean())


def placements(
    real: NDArray[np.floating], fake: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return placement values: for a real the share of fakes above it, for a fake the share of reals below it.

    Both are in [0, 1], and ties count half. The mean of either is the AUC (Mann & Whitney 1947).

    Args:
        real: (n,) scores of reals.
        fake: (m,) scores of fakes.

    >>> of_real, of_fake = placements(np.array([0.1, 0.4]), np.array([0.4, 0.9]))
    >>> of_real.tolist(), of_fake.tolist()
    ([1.0, 0.75], [0.75, 1.0])
    """

    def share_below(scores: NDArray[np.floating], others: NDArray[np.floating]) -> NDArray[np.float64]:
        ordered = np.sort(others)
        return (ordered.searchsorted(scores, "left") + ordered.searchsorted(scores, "right")) / (2.0 * len(others))

    return 1.0 - share_below(real, fake), share_below(fake, real)


@dataclass(frozen=True)
class Influence:
    """An AUC, or a linear combination of AUCs, with the contribution of every image to its error.

    Args:
        value: the AUC, or the combination.
        real_id: (n,) source of each real, sorted and unique. If persons are known, the images of a person are one
            source, because their errors are alike.
        real: (n,) influence of each source of reals, times the root of ``FOLD_DEPENDENCE`` if judges are cross-fitted.
        fake_id: (m,) key of each fake, sorted and unique over banks.
        fake: (m,) influence of each fake.
        floor: additional variance that the ranking cannot show, see ``floor_variance``.
        share: whether the value is a mean of AUCs, and so a share. A difference is none.
    """

    value: float
    real_id: NDArray[np.int64]
    real: NDArray[np.float64]
    fake_id: NDArray[np.int64]
    fake: NDArray[np.float64]
    floor: float
    share: bool = False

    @property
    def variance(self) -> float:
        """Return the variance of ``value`` over draws of the images: the squared influences plus the floor.

        For one AUC without folds the first part is DeLong's, and the floor is 0 unless few images are ranked wrongly
        or scores tie.
        """
        return float(self.real @ self.real + self.fake @ self.fake) + self.floor

    def of_bank(self, bank: int) -> "Influence":
        """Return the same influence with its fakes keyed as those of another bank, before banks are combined."""
        return replace(self, fake_id=self.fake_id % BANK_STRIDE + bank * BANK_STRIDE)


def influence(scores: Scores, bank: int = 0) -> Influence:
    """Return the AUC of one cross-fitted judge with its influences.

    The AUC is the mean over folds. Scores of different folds are never pooled, because each fold has its own judge.

    Args:
        scores: scores per image, with at least two images of each class in every fold.
        bank: number of the bank of fakes, to keep the fakes of several banks apart.

    Raises:
        ValueError: if a score is not finite, an image occurs twice, or a fold has fewer than two images of a class.

    >>> score, label, image = np.arange(200.0), np.repeat([0, 1], 100), np.tile(np.arange(100), 2)
    >>> judged = influence(Scores(score=score, label=label, image=image, fold=np.zeros(200), source=image))
    >>> judged.value, round(judged.variance, 6)
    (1.0, 0.0008)
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
    real_id, real = _sum_by_key([scores.source[is_real]], [values[is_real]])
    fake_id, fake = _sum_by_key([scores.source[~is_real]], [values[~is_real]])
    observed = float(real @ real + fake @ fake)
    floor = floor_variance(auc, observed, len(real), len(fake))
    dependence = FOLD_DEPENDENCE if len(folds) > 1 else 1
    return Influence(auc, real_id, np.sqrt(dependence) * real, fake_id, fake, floor, share=True).of_bank(bank)


def floor_variance(auc: float, observed: float, n_real: int, n_fake: int) -> float:
    """Return the variance to add to DeLong's, which is 0 for an AUC of 0 or 1 and if all scores tie.

    One more wrongly ranked image in each class would add u = 1/n_real^2 + 1/n_fake^2. Near 0 and 1, ``UNSEEN_IMAGES``
    of them are supposed, minus those observed (in whole images), so that the bound is no tighter than the rule of
    three. The variance is nowhere below u. ``observed`` is DeLong's variance.

    >>> floor_variance(1.0, 0.0, 100, 100)
    0.0008
    >>> floor_variance(0.5, 1e-3, 100, 100)
    0.0
    """
    u = 1.0 / n_real**2 + 1.0 / n_fake**2
    wrong = min(auc, 1.0 - auc) * min(n_real, n_fake)
    return max((UNSEEN_IMAGES - wrong) * u, u - observed, 0.0)


def combine(influences: Sequence[Influence], weights: Sequence[float]) -> Influence:
    """Return the weighted sum of AUCs, such as a mean over judges or a paired difference.

    The influences of an image are added up, which keeps the covariance of AUCs on the same images. Floors are treated
    as fully dependent in a mean and as independent in a difference.
    """
    pairs = list(zip(influences, weights, strict=True))
    real_id, real = _sum_by_key([item.real_id for item in influences], [weight * item.real for item, weight in pairs])
    fake_id, fake = _sum_by_key([item.fake_id for item in influences], [weight * item.fake for item, weight in pairs])
    value = sum(weight * item.value for item, weight in pairs)
    floor = sum(abs(weight) * item.floor for item, weight in pairs)
    share = all(item.share for item in influences) and min(weights) >= 0 and bool(np.isclose(sum(weights), 1.0))
    return Influence(value, real_id, real, fake_id, fake, floor, share)


def mean(influences: Sequence[Influence]) -> Influence:
    """Return the mean of AUCs, such as those of the judges of one technique."""
    return combine(influences, [1.0 / len(influences)] * len(influences))


def _sum_by_key(
    keys: Sequence[NDArray[np.int64]], values: Sequence[NDArray[np.float64]]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    unique, position = np.unique(np.concatenate(keys), return_inverse=True)
    total = np.zeros(len(unique))
    np.add.at(total, position, np.concatenate(values))
    return unique, total


def summarise(scores: Scores, margin: float) -> Summary:
    """Return every figure of the scores of one judge; all but the tests are means over folds.

    Args:
        scores: scores per image, with at least two images of each class in every fold.
        margin: e of the one-sided tests: ``p_above`` tests H0: AUC <= 1/2 + e, ``p_below`` H0: AUC >= 1/2 - e.

    Returns:
        The figures. ``auc_low`` and ``auc_high`` bound a 95% interval (DeLong's, with its floor) within [0, 1]. Average
        precision is at chance at the share of fakes, given beside it. True positive rates are None where
        ``true_positive_rate`` has none.
    """
    judged = influence(scores)
    error = float(np.sqrt(judged.variance))
    half_width = float(norm.ppf(0.975)) * error
    of_folds = []
    for fold in np.unique(scores.fold):
        score, label = scores.score[scores.fold == fold], scores.label[scores.fold == fold]
        chance = float(np.mean(label))
        precision = float(average_precision_score(label, score))
        of_folds.append((precision, chance, eer(score, label), log_loss(score, label)))
    average_precision, average_precision_chance, equal_error, loss = map(float, np.mean(of_folds, axis=0))
    at_1pct, at_5pct = (true_positive_rate(scores, fpr) for fpr in (0.01, 0.05))
    return Summary(
        auc=judged.value,
        auc_low=max(0.0, judged.value - half_width),
        auc_high=min(1.0, judged.value + half_width),
        p_above=float(norm.sf((judged.value - 0.5 - margin) / error)),
        p_below=float(norm.cdf((judged.value - 0.5 + margin) / error)),
        average_precision=average_precision,
        average_precision_chance=average_precision_chance,
        tpr_at_1pct_fpr=at_1pct and at_1pct.value,
        tpr_at_1pct_fpr_low=at_1pct and at_1pct.low,
        tpr_at_1pct_fpr_high=at_1pct and at_1pct.high,
        tpr_at_5pct_fpr=at_5pct and at_5pct.value,
        tpr_at_5pct_fpr_low=at_5pct and at_5pct.low,
        tpr_at_5pct_fpr_high=at_5pct and at_5pct.high,
        eer=equal_error,
        log_loss=loss,
        n_real=int((scores.label == 0).sum()),
        n_fake=int((scores.label == 1).sum()),
    )


def true_positive_rate(scores: Scores, fpr: float) -> Interval | None:
    """Return the true positive rate at a false positive rate, averaged over folds, with its 95% interval.

    None where a fold has fewer than 1 / ``fpr`` sources of reals: the rate would be one at no false positive.

    The interval is that of the rate at exactly ``fpr``. A threshold with that rate has a binomial number of a fold's
    reals above it. Draws of that number place the threshold between two reals, and a uniform draw
    between the fakes there. The rate of the fakes above it has Jeffreys' distribution. The interval holds the middle
    95% of the mean over folds. Reals of one person count as one. Reals of a fold also train the judges of others, which
    is left out.

    Args:
        scores: scores per image.
        fpr: false positive rate.
    """
    rng, values, drawn = np.random.default_rng(0), [], []
    for fold in np.unique(scores.fold):
        of_fold = scores.take(scores.fold == fold)
        real, fake = (np.sort(of_fold.score[of_fold.label == label]) for label in (0, 1))
        sources = len(np.unique(of_fold.source[of_fold.label == 0]))
        if sources * fpr < 1:
            return None
        above = np.rint(rng.binomial(sources, fpr, _DRAWS) * len(real) / sources).astype(int)
        edges = np.concatenate([[-np.inf], real, [np.inf]])
        fewest = len(fake) - fake.searchsorted(edges[len(real) + 1 - above], "right")
        most = len(fake) - fake.searchsorted(edges[len(real) - above], "left")
        caught = rng.uniform(fewest, most)
        drawn.append(rng.beta(caught + 0.5, len(fake) - caught + 0.5))
        values.append(tpr_at_fpr(of_fold.score, of_fold.label, fpr))
    value, ends = float(np.mean(values)), np.quantile(np.mean(drawn, axis=0), (0.025, 0.975))
    return Interval(value, min(float(ends[0]), value), max(float(ends[1]), value))


def tpr_at_fpr(score: NDArray[np.floating], label: NDArray[np.integer], fpr: float) -> float:
    """Return the largest true positive rate of a threshold with a false positive rate of at most ``fpr``.

    >>> tpr_at_fpr(np.array([0.1, 0.6, 0.5, 0.9]), np.array([0, 0, 1, 1]), fpr=0.01)
    0.5
    """
    # With tied scores, the threshold at the limit may be among those that scikit-learn would drop.
    false, true, _ = roc_curve(label, score, drop_intermediate=False)
    return float(true[false <= fpr].max())


def eer(score: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """Return the equal error rate: FPR = 1 - TPR on the ROC curve, which is linear between its points.

    >>> eer(np.array([0.1, 0.6, 0.5, 0.9]), np.array([0, 0, 1, 1]))
    0.5
    """
    false, true, _ = roc_curve(label, score)
    return float(np.interp(0.0, true + false - 1.0, false))


def log_loss(score: NDArray[np.floating], label: NDArray[np.integer]) -> float:
    """Return the cross-entropy of logits in nats, with equal weight on both classes: log 2 for uninformative scores.

    >>> round(log_loss(np.array([0.0, 0.0, 0.0]), np.array([0, 1, 1])), 4)
    0.6931
    """
    logit = score.astype(np.float64)
    return float(np.logaddexp(0.0, logit[label == 0]).mean() + np.logaddexp(0.0, -logit[label == 1]).mean()) / 2.0
