"""How many images from one source it takes to be 99% sure: who makes one fake makes many.

Independent images of one source are judged by the sum of their log-likelihood ratios, so that whatever tells a little
of one image tells a lot of many: unless the laws are equal the error falls exponentially (Chernoff 1952; Chakraborty
et al. 2024 for generated content).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv
from scipy.stats import norm

from arena.answer.limit.divergence import CalibratedScores
from arena.metrics.auc import floor_variance
from arena.metrics.interval import Interval

SURE = 0.99
"""Share of right decisions at equal priors that is asked for."""
FEWEST_BAGS = 4
"""Disjoint bags that the largest bag leaves of each class in half a fold."""
PARTITIONS = 16
"""Times the images are dealt into bags anew."""
DRAWS = 400
"""Of the bootstrap."""
MOST_IMAGES = 10_000_000
"""Beyond this a number of images says no more than that there is nothing to be seen."""
_TAIL = 0.025
_TILTS = np.linspace(0.05, 1.0, 20)


@dataclass(frozen=True)
class Bags:
    """What bags of ``n`` held-out images of one class show, with 95% intervals.

    Args:
        n: images of a bag.
        disjoint: bags of the smaller class that share no image. Images are dealt into bags several times over, which
            steadies the figures; the intervals count only these.
        right: share of right decisions at equal priors: sum of recalibrated logits above 0 or not.
        auc: of the sums, within the images of one judge.
    """

    n: int
    disjoint: int
    right: Interval
    auc: Interval


@dataclass(frozen=True)
class BagCurve:
    """Bags of growing size, and Chernoff's bound on what more images would do.

    Args:
        bags: in order of n.
        moments: of each run M_real = min_a E_real[exp(a s)] and M_fake = min_a E_fake[exp(-a s)], 0 <= a <= 1, for the
            recalibrated logit s of one image, scored by a judge drawn at random: 1 where s carries nothing.
    """

    bags: tuple[Bags, ...]
    moments: tuple[tuple[float, float], ...]

    def bound(self, n: float) -> float:
        """The share of right decisions that n images reach at least: 1 - (M_real^n + M_fake^n) / 2 (Chernoff 1952)."""
        return 1.0 - float(np.mean([0.5 * (real**n + fake**n) for real, fake in self.moments]))


@dataclass(frozen=True)
class ImageCount:
    """A number of images with a 95% interval; None where no number tried, or none at all, would do."""

    n: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class ImagesNeeded:
    """Images from one source for decisions that are right 99 times in 100, real and fake sources being as likely.

    Args:
        measured: the least bag measured to be right so often; its ``low`` and ``high`` are the least bags whose upper
            and lower bounds are.
        chernoff: images that suffice by Chernoff's bound, which may be several times too many.
        most: images of the largest bag that could be measured.
    """

    measured: ImageCount
    chernoff: ImageCount
    most: int

    @property
    def reason(self) -> str:
        """What cannot be said, in words; "" where nothing is wanting."""
        missing = []
        if self.measured.n is None:
            missing.append(f"more than the {self.most} images of the largest bag the test images allow")
        elif self.measured.high is None:
            missing.append("too few disjoint bags to bound the number measured")
        if self.chernoff.n is None:
            missing.append("no number is known to do, the evidence of one image being too weak")
        elif self.chernoff.high is None:
            missing.append("the evidence of one image is too weak to bound the number that will do")
        return "; ".join(missing)


def bag_curve(runs: Sequence[CalibratedScores]) -> BagCurve:
    """Bags of 1, 2, 4, ... images, up to a quarter of half a fold's smaller class, and those around the 99% mark.

    A bag's images are of one half of a fold: none of them trained its judge or calibrated another. Bags of several runs
    are averaged; the interval is then from the lowest end of any run to the highest, since runs share their reals.
    """
    largest = min(_smallest(run) for run in runs) // FEWEST_BAGS
    found = {n: _bags(runs, n) for n in _sizes(largest)}
    short = max((n for n, its in found.items() if its.right.value < SURE), default=0)
    long = min((n for n, its in found.items() if its.right.value >= SURE and n > short), default=None)
    while long is not None and long - short > 1:  # the least n that will do lies between
        middle = (short + long) // 2
        found[middle] = _bags(runs, middle)
        short, long = (short, middle) if found[middle].right.value >= SURE else (middle, long)
    return BagCurve(tuple(found[n] for n in sorted(found)), tuple(_moments(run)[0] for run in runs))


def images_needed(runs: Sequence[CalibratedScores], curve: BagCurve) -> ImagesNeeded:
    """Read the numbers off a curve, and bootstrap Chernoff's over sources (Rubin 1981).

    For the upper end each class is given one wholly wrong image more, with a random weight like the others': so rare
    errors that nobody has seen yet are allowed for (Gaffke 2005).
    """

    def least(value: str) -> int | None:
        return min((its.n for its in curve.bags if getattr(its.right, value) >= SURE), default=None)

    point = _least_images(np.array([curve.moments]))
    low, high = [], []
    for run in runs:
        _, seen, unseen = _moments(run, draws=DRAWS)
        low.append(np.quantile(_least_images(seen[:, None]), _TAIL, method="lower"))
        high.append(np.quantile(_least_images(unseen[:, None]), 1.0 - _TAIL, method="higher"))
    chernoff = ImageCount(*(_whole(n) for n in (point[0], min(low), max(high))))
    return ImagesNeeded(ImageCount(least("value"), least("high"), least("low")), chernoff, curve.bags[-1].n)


def _sizes(largest: int) -> list[int]:
    """1, 2, 4, ... and the largest."""
    return sorted({1 << k for k in range(largest.bit_length())} | {max(1, largest)})


def _smallest(run: CalibratedScores) -> int:
    """Sources of the smaller class in the smallest half of a fold."""
    return min(_count(run, cell, label) for cell in run.cells() for label in (0, 1))


def _count(run: CalibratedScores, cell: NDArray[np.bool_], label: int) -> int:
    return len(np.unique(run.images.source[cell & (run.images.label == label)]))


def _bags(runs: Sequence[CalibratedScores], n: int) -> Bags:
    """Bags of n images of every run, averaged."""
    every = [_of_run(run, n) for run in runs]
    right, auc = ([getattr(bags, figure) for bags in every] for figure in ("right", "auc"))
    return Bags(n, min(bags.disjoint for bags in every), _widest(right), _widest(auc))


def _widest(intervals: Sequence[Interval]) -> Interval:
    """The mean of the values, from the lowest end of any to the highest."""
    value = float(np.mean(intervals, axis=0)[0])
    return Interval(value, min(one.low for one in intervals), max(one.high for one in intervals))


def _of_run(run: CalibratedScores, n: int) -> Bags:
    rng = np.random.default_rng(n)
    cells = run.cells()
    right, area = [], []
    for cell in cells:
        sums = [_sums(run.evidence[:, cell & (run.images.label == label)], n, rng) for label in (0, 1)]
        right += [0.5 + 0.5 * np.sign(-sums[0]).mean(), 0.5 + 0.5 * np.sign(sums[1]).mean()]
        area += [_auc(real.ravel(), fake.ravel()) for real, fake in zip(*sums, strict=True)]
    real, fake = (sum(_count(run, cell, label) // n for cell in cells) for label in (0, 1))
    share, auc = float(np.mean(right)), float(np.mean(area))
    # Clopper-Pearson with the decisions on disjoint bags, both classes having at least so many. The error of a mean
    # over dealings, and over judges, is no larger than that of one (Hoeffding 1948).
    k = 2 * min(real, fake)
    low = float(betaincinv(share * k, k - share * k + 1, _TAIL)) if share > 0 else 0.0
    high = float(betaincinv(share * k + 1, k - share * k, 1.0 - _TAIL)) if share < 1 else 1.0
    width = float(norm.isf(_TAIL)) * _auc_error(auc, real, fake)
    return Bags(n, min(real, fake), Interval(share, low, high), Interval(auc, auc - width, auc + width).clipped())


def _sums(evidence: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sums (J, dealings, bags) of the evidence (J, N) in disjoint bags of n images, dealt again and again."""
    count = evidence.shape[1]
    bags = count // n
    deals = rng.permuted(np.tile(np.arange(count), (PARTITIONS if n > 1 else 1, 1)), axis=1)[:, : bags * n]
    return evidence[:, deals].reshape(len(evidence), len(deals), bags, n).sum(axis=3)


def _auc(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    ordered = np.sort(real)
    below = np.searchsorted(ordered, fake, "left") + np.searchsorted(ordered, fake, "right")
    return float(below.mean()) / (2.0 * len(real))


def _auc_error(auc: float, n_real: int, n_fake: int) -> float:
    """Standard error of an AUC (Hanley & McNeil 1982), with the floor that every AUC of the arena has."""
    real_pairs, fake_pairs = auc / (2.0 - auc) - auc**2, 2.0 * auc**2 / (1.0 + auc) - auc**2
    seen = (auc * (1.0 - auc) + (n_fake - 1) * real_pairs + (n_real - 1) * fake_pairs) / (n_real * n_fake)
    return float(np.sqrt(seen + floor_variance(auc, seen, n_real, n_fake)))


Moments = tuple[tuple[float, float], NDArray[np.float64], NDArray[np.float64]]


def _moments(run: CalibratedScores, draws: int = 0) -> Moments:
    """M_real and M_fake of a run, and their bootstrap draws (draws, 2) without and with a wholly wrong image more."""
    rng = np.random.default_rng(0)
    found, seen, unseen = np.ones(2), np.ones((draws, 2)), np.ones((draws, 2))
    worst = np.exp(np.outer(run.most.max(axis=1), _TILTS)).mean(axis=0)
    for label in (0, 1):
        which = run.images.label == label
        wrong = run.evidence[:, which] * (1.0 - 2.0 * label)  # what speaks for the other class
        powers = np.exp(wrong[:, :, None] * _TILTS).mean(axis=0)
        order = np.argsort(run.images.source[which], kind="stable")
        _, first, size = np.unique(run.images.source[which][order], return_index=True, return_counts=True)
        by_source = np.add.reduceat(powers[order], first)
        found[label] = min(1.0, powers.mean(axis=0).min())
        weight = rng.standard_exponential((draws, len(size)))
        total, count = weight @ by_source, weight @ size
        extra = rng.standard_exponential(draws) * size.mean()
        seen[:, label] = np.minimum(1.0, (total / count[:, None]).min(axis=1))
        with_worst = (total + extra[:, None] * worst) / (count + extra)[:, None]
        unseen[:, label] = np.minimum(1.0, with_worst.min(axis=1))
    return (float(found[0]), float(found[1])), seen, unseen


def _least_images(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """The n at which the mean over runs of (M_real^n + M_fake^n) / 2 is 1%: (draws,), inf where none is.

    Args:
        moments: (draws, runs, 2).
    """
    # Bisect log n: the error falls as n grows, unless a moment is 1.
    low, high = np.zeros(len(moments)), np.full(len(moments), np.log(MOST_IMAGES))
    for _ in range(50):
        middle = 0.5 * (low + high)
        wrong = (moments ** np.exp(middle)[:, None, None]).mean(axis=(1, 2)) > 1.0 - SURE
        low, high = np.where(wrong, middle, low), np.where(wrong, high, middle)
    return np.where(high >= np.log(MOST_IMAGES), np.inf, np.exp(high))


def _whole(n: float) -> int | None:
    return int(np.ceil(n - 1e-9)) if np.isfinite(n) else None
