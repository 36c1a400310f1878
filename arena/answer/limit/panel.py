"""A panel: the fresh judges of one technique, each logit recalibrated on images that do not test it.

A judge's logit orders images; what it is worth as evidence is learned from other images of the same fold, so that what
is then counted (wrong decisions, nats, bags) counts for images that had no say in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from arena.records import Scores

FEWEST_IMAGES = 4
"""Of a class in half a fold: the fewest that calibrate the other half."""


@dataclass(frozen=True, eq=False)
class Panel:
    """J judges of one run on the N images that they all tested, in one order.

    Args:
        judges: what each said, image for image; scores of different folds come from different nets.
        half: (N,) which half of its fold an image is in, 0 or 1; images of one source stay together.
        evidence: (J, N) recalibrated logits, the log-likelihood ratio of fake to real that a score stands for, fitted
            on the other half of the fold.
        most: (J, N) the largest size that ``evidence`` may have there: no image is said to be more certain than the
            images that calibrated it, nor than their number supports.
    """

    judges: tuple[Scores, ...]
    half: NDArray[np.intp]
    evidence: NDArray[np.float64]
    most: NDArray[np.float64]

    @property
    def images(self) -> Scores:
        """Label, image, fold and source of the images (the scores are the first judge's)."""
        return self.judges[0]

    def cells(self) -> list[NDArray[np.bool_]]:
        """(N,) each: the halves of the folds, whose images neither trained nor calibrated what judges them."""
        folds = np.unique(self.images.fold)
        return [(self.images.fold == fold) & (self.half == half) for fold in folds for half in (0, 1)]


def panel(judges: Sequence[Scores]) -> Panel:
    """Recalibrate the judges of a technique: half of each fold's images on the other half, both classes weighing alike.

    Raises:
        ValueError: if a score is not finite, the judges tested different images, or half a fold holds fewer than
            ``FEWEST_IMAGES`` sources of a class.
    """
    aligned = tuple(_in_order(scores) for scores in judges)
    first = aligned[0]
    for scores in aligned:
        if not np.isfinite(scores.score).all():
            raise ValueError("scores must be finite")
        if not all(np.array_equal(mine, theirs) for mine, theirs in zip(scores[1:], first[1:], strict=True)):
            raise ValueError("the judges tested different images, expected the same ones in the same folds")
    half = _halves(first)
    evidence, most = np.zeros((2, len(aligned), len(first.label)))
    for fold in np.unique(first.fold):
        for tested in (0, 1):
            here, there = ((first.fold == fold) & (half == side) for side in (tested, 1 - tested))
            fewest = min(len(np.unique(first.source[there & (first.label == label)])) for label in (0, 1))
            if fewest < FEWEST_IMAGES:
                needed = 2 * FEWEST_IMAGES
                raise ValueError(f"fold {fold}: too few images, expected {needed} of each class or more")
            for judge, scores in enumerate(aligned):
                slope, offset = platt(scores.score[there], first.label[there])
                seen = np.abs(slope * scores.score[there] + offset).max()
                bound = min(float(seen), np.log(fewest + 1.0))
                evidence[judge, here] = np.clip(slope * scores.score[here] + offset, -bound, bound)
                most[judge, here] = bound
    return Panel(aligned, half, evidence, most)


def platt(score: NDArray[np.floating], label: NDArray[np.integer]) -> tuple[float, float]:
    """Slope and offset from a score to the log-likelihood ratio of fake to real (Platt 1999), by Newton's method.

    Both classes weigh the same. Platt's targets, (n + 1) / (n + 2) rather than 1, keep the slope finite where the
    classes are told apart without fault. A score that the labels contradict is not turned round, and is worth nothing.

    Args:
        score: (N,) higher means more fake.
        label: (N,) 0 for real, 1 for fake.
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
    for _ in range(100):
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


def _in_order(scores: Scores) -> Scores:
    """Reals, then fakes, by id."""
    order = np.lexsort((scores.image, scores.label))
    score, label, image, fold, source = scores
    return Scores(score[order], label[order], image[order], fold[order], source[order])


def _halves(images: Scores) -> NDArray[np.intp]:
    """Sources dealt to two halves of their fold, class by class; the same whoever judges."""
    half = np.zeros(len(images.label), dtype=np.intp)
    rng = np.random.default_rng(0)
    for fold in np.unique(images.fold):
        for label in (0, 1):
            here = (images.fold == fold) & (images.label == label)
            sources, position = np.unique(images.source[here], return_inverse=True)
            half[here] = (rng.permutation(len(sources)) % 2)[position]
    return half
