"""The number of images from one source that a 99% accurate decision needs.

Independent images of one source are judged by the sum of their log-likelihood ratios, so a little evidence per image
adds up. The error falls exponentially with their number, except where real and fake have one law (Chernoff 1952,
Chakraborty et al. 2024 for generated content).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv
from scipy.stats import norm

from arena.answer.divergence import CalibratedScores
from arena.metrics.auc import floor_variance
from arena.metrics.interval import Interval

SURE = 0.99
"""Share of right decisions asked for, at equal priors."""
FEWEST_BAGS = 4
"""Disjoint bags that the largest bag leaves of each class in half a fold."""
PARTITIONS = 16
"""Times that the images are dealt into bags."""
DRAWS = 400
"""Of the bootstrap."""
MOST_IMAGES = 10_000_000
"""A larger number of images says only that there is nothing to see."""
_TAIL = 0.025
_TILTS = np.linspace(0.05, 1.0, 20)


@dataclass(frozen=True)
class Bags:
    """Decisions on bags of ``n`` held-out images of one class, with 95% intervals.

    Args:
        n: images of a bag.
        disjoint: bags of the smaller class that share no image. Images are dealt into bags several times over, which
            steadies the figures. The intervals count only these.
        right: share of right decisions at equal priors, by the sign of the sum of recalibrated logits.
        auc: AUC of the sums, within the images of one judge.
    """

    n: int
    disjoint: int
    right: Interval
    auc: Interval


@dataclass(frozen=True)
class BagCurve:
    """Bags of growing size, and Chernoff's bound for any number of images.

    Args:
        bags: in order of n.
        moments: of each run M_real = min_a E_real[exp(a s)] and M_fake = min_a E_fake[exp(-a s)], 0 <= a <= 1, for the
            recalibrated logit s of one image, scored by a judge drawn at random. 1 where s carries no evidence.
    """

    bags: tuple[Bags, ...]
    moments: tuple[tuple[float, float], ...]

    def bound(self, n: float) -> float:
        """Return a lower bound on the share of right decisions: 1 - (M_real^n + M_fake^n) / 2 (Chernoff 1952).

        >>> BagCurve((), ((0.5, 0.5),)).bound(2)
        0.75
        """
        return 1.0 - float(np.mean([0.5 * (real**n + fake**n) for real, fake in self.moments]))


@dataclass(frozen=True)
class ImageCount:
    """A number of images with its 95% interval. None where no number tried, or none at all, would do."""

    n: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class ImagesNeeded:
    """Images from one source for decisions that are right 99 times in 100, where real and fake are equally likely.

    Args:
        measured: size of the smallest bag measured to be right so often. Its ``low`` and ``high`` are those of the
            smallest bags whose upper and whose lower bounds are.
        chernoff: number that suffices by Chernoff's bound, which may be several times too large.
        most: images of the largest bag that could be measured.
    """

    measured: ImageCount
    chernoff: ImageCount
    most: int

    @property
    def reason(self) -> str:
        """Why a number is missing, in words. Empty where none is."""
        missing = []
        if self.measured.n is None:
            missing.append(f"more than the {self.most} images of the largest bag that the test images allow")
        elif self.measured.high is None:
            missing.append("too few disjoint bags to bound the number measured")
        if self.chernoff.n is None:
            missing.append("no number is known to suffice, because the evidence of one image is too weak")
        elif self.chernoff.high is None:
            missing.append("the evidence of one image is too weak to bound the number that suffices")
        return "; ".join(missing)


def bag_curve(runs: Sequence[CalibratedScores]) -> BagCurve:
    """Measure bags of 1, 2, 4, ... images, up to a quarter of half a fold's smaller class, and those around 99%.

    The images of a bag are of one half of a fold, so that none of them trained its judge or calibrated another. Bags of
    several runs are averaged. Their interval is then from the lowest end of any run to the highest, since runs share
    their reals.
    """
    smallest = min(
        _count(run, cell, label) for run in runs for cells in _cells(run) for cell in cells for label in (0, 1)
    )
    largest = smallest // FEWEST_BAGS
    sizes = {1 << k for k in range(largest.bit_length())} | {max(1, largest)}
    measured = {n: _bags(runs, n) for n in sorted(sizes)}
    short = max((n for n, bags in measured.items() if bags.right.value < SURE), default=0)
    long = min((n for n, bags in measured.items() if bags.right.value >= SURE and n > short), default=None)
    while long is not None and long - short > 1:  # the least n that suffices lies between
        middle = (short + long) // 2
        measured[middle] = _bags(runs, middle)
        short, long = (short, middle) if measured[middle].right.value >= SURE else (middle, long)
    return BagCurve(tuple(measured[n] for n in sorted(measured)), tuple(_moments(run)[0] for run in runs))


def images_needed(runs: Sequence[CalibratedScores], curve: BagCurve) -> ImagesNeeded:
    """Read the numbers off a curve, and bootstrap Chernoff's over sources (Rubin 1981).

    For the upper end each class is given one wholly wrong image more, with a random weight like the others'. So the
    bound allows for errors too rare to have been seen (Gaffke 2005).
    """

    def least(end: str) -> int | None:
        return min((bags.n for bags in curve.bags if getattr(bags.right, end) >= SURE), default=None)

    point = _least_images(np.array([curve.moments]))
    low, high = [], []
    for run in runs:
        _, seen, unseen = _moments(run, draws=DRAWS)
        low.append(np.quantile(_least_images(seen[:, None]), _TAIL, method="lower"))
        high.append(np.quantile(_least_images(unseen[:, None]), 1.0 - _TAIL, method="higher"))
    chernoff = [int(np.ceil(n - 1e-9)) if np.isfinite(n) else None for n in (point[0], min(low), max(high))]
    return ImagesNeeded(
        ImageCount(least("value"), least("high"), least("low")), ImageCount(*chernoff), curve.bags[-1].n
    )


def _cells(run: CalibratedScores) -> list[list[NDArray[np.bool_]]]:
    """The halves of the folds of every judge."""
    return [run.cells(judge) for judge in range(len(run.judges))]


def _count(run: CalibratedScores, cell: NDArray[np.bool_], label: int) -> int:
    """The sources of one class in half a fold."""
    return len(np.unique(run.images.source[cell & (run.images.label == label)]))


def _bags(runs: Sequence[CalibratedScores], n: int) -> Bags:
    """Bags of n images of every run: the mean of the values, from the lowest end of any to the highest."""
    every = [_bags_of_run(run, n) for run in runs]
    averaged = []
    for intervals in ([bags.right for bags in every], [bags.auc for bags in every]):
        value = float(np.mean(intervals, axis=0)[0])
        averaged.append(Interval(value, min(each.low for each in intervals), max(each.high for each in intervals)))
    return Bags(n, min(bags.disjoint for bags in every), *averaged)


def _bags_of_run(run: CalibratedScores, n: int) -> Bags:
    rng = np.random.default_rng(n)
    right, area = [], []
    for evidence, cells in zip(run.evidence, _cells(run), strict=True):
        for cell in cells:
            real, fake = (_sums(evidence[cell & (run.images.label == label)], n, rng) for label in (0, 1))
            right += [0.5 + 0.5 * np.sign(-real).mean(), 0.5 + 0.5 * np.sign(fake).mean()]
            area.append(_auc(real.ravel(), fake.ravel()))
    real, fake = (
        min(sum(_count(run, cell, label) // n for cell in cells) for cells in _cells(run)) for label in (0, 1)
    )
    share, auc = float(np.mean(right)), float(np.mean(area))
    # Clopper-Pearson with the decisions on disjoint bags, of which both classes have at least so many. The error of a
    # mean over dealings, and over judges, is no larger than that of one (Hoeffding 1948).
    k = 2 * min(real, fake)
    low = float(betaincinv(share * k, k - share * k + 1, _TAIL)) if share > 0 else 0.0
    high = float(betaincinv(share * k + 1, k - share * k, 1.0 - _TAIL)) if share < 1 else 1.0
    width = float(norm.isf(_TAIL)) * _auc_error(auc, real, fake)
    return Bags(n, min(real, fake), Interval(share, low, high), Interval(auc, auc - width, auc + width).clipped())


def _sums(evidence: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sums (dealings, bags) of the evidence (N,) in disjoint bags of n images, dealt several times."""
    count = len(evidence)
    bags = count // n
    deals = rng.permuted(np.tile(np.arange(count), (PARTITIONS if n > 1 else 1, 1)), axis=1)[:, : bags * n]
    return evidence[deals].reshape(len(deals), bags, n).sum(axis=2)


def _auc(real: NDArray[np.float64], fake: NDArray[np.float64]) -> float:
    ordered = np.sort(real)
    below = np.searchsorted(ordered, fake, "left") + np.searchsorted(ordered, fake, "right")
    return float(below.mean()) / (2.0 * len(real))


def _auc_error(auc: float, n_real: int, n_fake: int) -> float:
    """Standard error of an AUC (Hanley & McNeil 1982), with the floor of every AUC of the arena."""
    real_pairs, fake_pairs = auc / (2.0 - auc) - auc**2, 2.0 * auc**2 / (1.0 + auc) - auc**2
    seen = (auc * (1.0 - auc) + (n_fake - 1) * real_pairs + (n_real - 1) * fake_pairs) / (n_real * n_fake)
    return float(np.sqrt(seen + floor_variance(auc, seen, n_real, n_fake)))


Moments = tuple[tuple[float, float], NDArray[np.float64], NDArray[np.float64]]


def _moments(run: CalibratedScores, draws: int = 0) -> Moments:
    """M_real and M_fake of a run, and their bootstrap draws (draws, 2) without and with a wholly wrong image more."""
    rng = np.random.default_rng(0)
    moments, seen, unseen = np.ones(2), np.ones((draws, 2)), np.ones((draws, 2))
    worst = np.exp(np.outer(run.most.max(axis=1), _TILTS)).mean(axis=0)
    for label in (0, 1):
        which = run.images.label == label
        wrong = run.evidence[:, which] * (1.0 - 2.0 * label)  # evidence for the other class
        powers = np.exp(wrong[:, :, None] * _TILTS).mean(axis=0)
        order = np.argsort(run.images.source[which], kind="stable")
        _, first, size = np.unique(run.images.source[which][order], return_index=True, return_counts=True)
        by_source = np.add.reduceat(powers[order], first)
        moments[label] = min(1.0, powers.mean(axis=0).min())
        weight = rng.standard_exponential((draws, len(size)))
        total, count = weight @ by_source, weight @ size
        extra = rng.standard_exponential(draws) * size.mean()
        seen[:, label] = np.minimum(1.0, (total / count[:, None]).min(axis=1))
        with_worst = (total + extra[:, None] * worst) / (count + extra)[:, None]
        unseen[:, label] = np.minimum(1.0, with_worst.min(axis=1))
    return (float(moments[0]), float(moments[1])), seen, unseen


def _least_images(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """The n (draws,) at which the mean over runs of (M_real^n + M_fake^n) / 2 is 1%, inf where none is.

    ``moments`` are (draws, runs, 2).
    """
    # Bisect log n. The error falls as n grows, except where a moment is 1.
    low, high = np.zeros(len(moments)), np.full(len(moments), np.log(MOST_IMAGES))
    for _ in range(50):
        middle = 0.5 * (low + high)
        wrong = (moments ** np.exp(middle)[:, None, None]).mean(axis=(1, 2)) > 1.0 - SURE
        low, high = np.where(wrong, middle, low), np.where(wrong, high, middle)
    return np.where(high >= np.log(MOST_IMAGES), np.inf, np.exp(high))
