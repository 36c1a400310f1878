"""Calibrate held-out scores, and bound the divergence between real and fake images from them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from arena.answer.estimate import Estimate, estimate
from arena.metrics.auc import BANK_STRIDE, Influence, influence, mean
from arena.records.schema import Scores

FEWEST_IMAGES = 4
"""Fewest images of a class in half a fold that calibrate the other half."""
ALPHA = 0.05
"""One-sided level of the bounds."""


@dataclass(frozen=True, eq=False)
class CalibratedScores:
    """J judges of one run on the N images that they all tested, in one order.

    Args:
        judges: scores of each judge, image by image. Each judge has folds of its own, and each fold its own network.
        half: (J, N) the half of the judge's fold that an image is in, 0 or 1. Images of one source stay together.
        evidence: (J, N) recalibrated logits, fitted on the other half of the fold: the log-likelihood ratio of fake to
            real that a score stands for.
        most: (J, N) largest size of ``evidence``. No image is more certain than the images that calibrated it, nor than
            their number supports.
    """

    judges: tuple[Scores, ...]
    half: NDArray[np.intp]
    evidence: NDArray[np.float64]
    most: NDArray[np.float64]

    @property
    def images(self) -> Scores:
        """Label, image and source of the images. Scores and folds are the first judge's."""
        return self.judges[0]

    def cells(self, judge: int) -> list[NDArray[np.bool_]]:
        """Return the halves of a judge's folds as masks (N,). Their images neither trained nor calibrated it."""
        fold, half = self.judges[judge].fold, self.half[judge]
        return [(fold == number) & (half == side) for number in np.unique(fold) for side in (0, 1)]


def calibrated_scores(judges: Sequence[Scores]) -> CalibratedScores:
    """Recalibrate the judges of a technique: each half of a fold's images on the other half, with balanced classes.

    Raises:
        ValueError: if a score is not finite, the judges tested different images, or half a fold holds fewer than
            ``FEWEST_IMAGES`` sources of a class.
    """
    aligned = tuple(_in_order(scores) for scores in judges)
    first = aligned[0]
    for scores in aligned:
        if not np.isfinite(scores.score).all():
            raise ValueError("scores must be finite")
        if not all(
            np.array_equal(getattr(scores, name), getattr(first, name)) for name in ("label", "image", "source")
        ):
            raise ValueError("the judges tested different images, expected the same ones")
    half = np.stack([_halves(scores) for scores in aligned])
    evidence, most = np.zeros((2, len(aligned), len(first.label)))
    for judge, scores in enumerate(aligned):
        for fold in np.unique(scores.fold):
            for tested in (0, 1):
                here, there = ((scores.fold == fold) & (half[judge] == side) for side in (tested, 1 - tested))
                fewest = min(len(np.unique(first.source[there & (first.label == label)])) for label in (0, 1))
                if fewest < FEWEST_IMAGES:
                    needed = 2 * FEWEST_IMAGES
                    raise ValueError(f"fold {fold}: too few images, expected {needed} of each class or more")
                slope, offset = platt(scores.score[there], first.label[there])
                seen = np.abs(slope * scores.score[there] + offset).max()
                bound = min(float(seen), np.log(fewest + 1.0))
                evidence[judge, here] = np.clip(slope * scores.score[here] + offset, -bound, bound)
                most[judge, here] = bound
    return CalibratedScores(aligned, half, evidence, most)


def _in_order(scores: Scores) -> Scores:
    """Return the scores of the reals and then those of the fakes, each by id."""
    order = np.lexsort((scores.image, scores.label))
    return scores.take(order)


def _halves(images: Scores) -> NDArray[np.intp]:
    """Deal sources to two halves of their fold, class by class, equally for all judges with these folds."""
    half = np.zeros(len(images.label), dtype=np.intp)
    rng = np.random.default_rng(0)
    for fold in np.unique(images.fold):
        for label in (0, 1):
            here = (images.fold == fold) & (images.label == label)
            sources, position = np.unique(images.source[here], return_inverse=True)
            half[here] = (rng.permutation(len(sources)) % 2)[position]
    return half


def platt(score: NDArray[np.floating], label: NDArray[np.integer]) -> tuple[float, float]:
    """Return slope and offset from a score (N,) to the log-likelihood ratio of fake to real (Platt 1999).

    Both classes have the same weight. Platt's targets, (n + 1) / (n + 2) rather than 1, keep the slope finite where the
    score separates the classes without error. A score that the labels contradict gets slope and offset 0. It is not
    turned round. Unlike the calibration of detectors, this one has no penalty on the slope.
    """
    x = score.astype(np.float64)
    centre, spread = float(x.mean()), float(x.std())
    if spread == 0.0:
        return 0.0, 0.0
    count = np.bincount(label, minlength=2)
    weight = (0.5 / count)[label]
    target = np.where(label == 1, count[1] + 1.0, 1.0) / (count[label] + 2.0)
    design = np.stack([(x - centre) / spread, np.ones(len(x))])

    def loss(theta: NDArray[np.float64]) -> float:
        z = theta @ design
        return float(weight @ (np.logaddexp(0.0, z) - target * z))

    theta = np.array([0.0, float(logit(weight @ target))])
    least = loss(theta)
    for _ in range(100):  # Newton's method, with halved steps
        share = expit(theta @ design)
        gradient = design @ (weight * (share - target))
        curvature = (design * (weight * share * (1.0 - share))) @ design.T
        step = np.linalg.solve(curvature + 1e-12 * np.eye(2), gradient)
        while (now := loss(theta - step)) > least and np.abs(step).max() > 1e-9:
            step /= 2.0
        if now >= least:
            break
        theta, least = theta - step, now
    if theta[0] <= 0.0:
        return 0.0, 0.0
    slope = float(theta[0]) / spread
    return slope, float(theta[1]) - slope * centre


@dataclass(frozen=True)
class LowerBound:
    """A divergence between 0 (real and fake have one law) and 1 (they have nothing in common).

    Args:
        value: the divergence that the scores achieve, an estimate of what these judges can show.
        low: lower 95% bound on the true divergence, 0 where the scores show nothing.
    """

    value: float
    low: float


def total_variation(runs: Sequence[CalibratedScores]) -> LowerBound:
    """Return a lower bound on TV = sup_A |P(A) - Q(A)|: (1 + TV) / 2 is the largest accuracy at equal priors.

    It is the larger of two bounds that share the error. One is TPR - FPR of decisions at recalibrated logit 0 (Le Cam).
    The other is 1 - sqrt(2 (1 - AUC)), since no AUC exceeds 1 - (1 - TV)^2 / 2 (Sadasivan et al. 2023). Each judge of
    each fold has a bound of its own, which holds for their mean too. An image counts once, with the mean of its judges,
    and the differences of judges add no error. Of several runs it is a bound for the mean over runs like them.
    """
    wrong = [_risk(run, 0.5 - 0.5 * np.sign(run.evidence) * _sign(run), 1.0, bank) for bank, run in enumerate(runs)]
    area = estimate([[mean([influence(judge, bank) for judge in run.judges])] for bank, run in enumerate(runs)])
    by_decision = 1.0 - 2.0 * _high(wrong, ALPHA / 2)
    by_area = 1.0 - float(np.sqrt(2.0 * (1.0 - np.clip(area.low(ALPHA / 2), 0.5, 1.0))))
    return _within(1.0 - 2.0 * _estimate(wrong, ALPHA).value, max(by_decision, by_area))


def jensen_shannon(runs: Sequence[CalibratedScores]) -> LowerBound:
    """Return a lower bound on the Jensen-Shannon divergence in bits: 1 less the balanced log loss (Goodfellow 2014).

    It is the mean information of an image about its label. Logits are recalibrated first, since an overconfident judge
    would hide some of it. Judges, folds and runs are treated as in ``total_variation``.
    """
    loss = []
    for bank, run in enumerate(runs):
        largest = float(np.logaddexp(0.0, run.most.max()) / np.log(2.0))
        loss.append(_risk(run, np.logaddexp(0.0, -_sign(run) * run.evidence) / np.log(2.0), largest, bank))
    return _within(1.0 - _estimate(loss, ALPHA).value, 1.0 - _high(loss, ALPHA))


class _Risk(NamedTuple):
    """A mean loss of held-out images, and the most that one image more could have added to it."""

    loss: Influence
    one_image: float


def _risk(run: CalibratedScores, losses: NDArray[np.float64], largest: float, bank: int) -> _Risk:
    """Mean loss of held-out images with equal weight of classes and folds, and each source's part of its error.

    ``losses`` (J, N) are in [0, ``largest``], the loss of a wholly wrong image. The judges are averaged.
    """
    images, value, error = run.images, 0.0, np.zeros(losses.shape[1])
    for judge, loss in zip(run.judges, losses, strict=True):
        folds = np.unique(judge.fold)
        share = 0.5 / len(folds) / len(losses)
        for fold in folds:
            for label in (0, 1):
                here = (judge.fold == fold) & (images.label == label)
                count = int(here.sum())
                value += share * float(loss[here].mean())
                error[here] += share * (loss[here] - loss[here].mean()) / np.sqrt(count * (count - 1.0))
    is_fake = images.label == 1
    keys = images.source + np.where(is_fake, bank * BANK_STRIDE, 0)
    (real_id, real), (fake_id, fake) = (_by_source(keys[which], error[which]) for which in (~is_fake, is_fake))
    one_image = 0.5 * (largest - value) / min(len(real_id), len(fake_id))
    return _Risk(Influence(value, real_id, real, fake_id, fake, floor=0.0), one_image)


def _by_source(keys: NDArray[np.int64], error: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    unique, position = np.unique(keys, return_inverse=True)
    total = np.zeros(len(unique))
    np.add.at(total, position, error)
    return unique, total


def _estimate(risks: Sequence[_Risk], alpha: float) -> Estimate:
    unseen = _unseen(alpha) * np.mean([risk.one_image for risk in risks]) ** 2
    seen = estimate([[risk.loss] for risk in risks])
    return replace(seen, of_images=seen.of_images + float(unseen))


def _high(risks: Sequence[_Risk], alpha: float) -> float:
    """Upper bound on a mean loss, as if z^2 / 2 wholly wrong images more had been seen (Agresti & Coull 1998).

    Where few images are wrong, their variance is too small. One-sided, such a bound on a count of k is no tighter than
    the exact one of Poisson: 3.3 where k = 0, 4.9 where k = 1 (exact: 3.0 and 4.7).
    """
    return _estimate(risks, alpha).high(alpha) + _unseen(alpha) * float(np.mean([risk.one_image for risk in risks]))


def _unseen(alpha: float) -> float:
    return float(norm.isf(alpha)) ** 2 / 2.0


def _sign(run: CalibratedScores) -> NDArray[np.float64]:
    """(N,) -1 for real, 1 for fake."""
    return 2.0 * run.images.label.astype(np.float64) - 1.0


def _within(value: float, low: float) -> LowerBound:
    return LowerBound(float(np.clip(value, 0.0, 1.0)), float(np.clip(low, 0.0, 1.0)))
