"""Compare the classes that fakes show with those of reals, where the data names classes or attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from arena.metrics.interval import Interval

MOST_CLASSES = 20
"""Most different values of an attribute that count as a class each. Any other attribute is cut at its quartiles."""
FEWEST_OF_CLASS = 4
"""Fewest training images of each class."""
READABLE = 0.5
"""Share of the errors of a constant guess that a classifier must avoid on reals, so that its attribute is read."""
CONFIDENT = 0.95
"""Share of reals that the classifier recognises, by definition."""
PRESENT = 0.25
"""Share of a class among fakes, relative to its share among reals, below which it is missing."""
DRAWS = 2000
"""Simulated pairs of histograms."""


class ClassCoverage(NamedTuple):
    """Classes of fakes beside those of held-out reals, of the attribute that differs most.

    Args:
        attribute: name of the attribute.
        distance: total variation between the histograms of fakes and of reals, with its 95% interval. The classes are
            those the classifier names, and one more of images that it does not recognise.
        unrecognised: share of fakes about which the classifier is less sure than about 95% of reals.
        missing: classes of any attribute that are shown to be missing, such as ``digit=7``.
    """

    attribute: str
    distance: Interval
    unrecognised: float
    missing: tuple[str, ...]


@dataclass(frozen=True)
class AttributeReader:
    """Classifier of one attribute: linear discriminants with the shrinkage of Ledoit & Wolf (2004).

    Args:
        name: of the attribute.
        edges: (K - 1,) lower ends of all classes but the first, ascending.
        names: of its K classes.
        discriminants: fitted to features.
        sure: largest posterior probability above which an image is recognised.
    """

    name: str
    edges: NDArray[np.float64]
    names: tuple[str, ...]
    discriminants: LinearDiscriminantAnalysis
    sure: float

    def counts(self, features: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return how many of these images (N, d) are of each class, and last how many are not recognised: (K + 1,)."""
        probability = self.discriminants.predict_proba(features)
        named = np.asarray(self.discriminants.classes_)[probability.argmax(axis=1)]
        named[probability.max(axis=1) < self.sure] = len(self.names)
        return np.bincount(named, minlength=len(self.names) + 1)


def attribute_readers(
    train: NDArray[np.floating],
    train_attributes: Mapping[str, NDArray[np.floating]],
    other: NDArray[np.floating],
    other_attributes: Mapping[str, NDArray[np.floating]],
) -> list[AttributeReader]:
    """Fit a classifier to every attribute that the features tell.

    An attribute has one number for each image. If it has few different values, each is a class, such as a digit. Any
    other attribute is cut at the quartiles of the training images. Attributes with several numbers are left out, and so
    are those that the classifier cannot read from the other reals.

    Args:
        train: (n, d) features of training images.
        train_attributes: name -> (n,) or (n, k) values.
        other: (m, d) features of other reals, from which the confidence of a recognised image is set.
        other_attributes: their attributes, under the same names.
    """
    fitted = [
        _reader(name, train, values, other, other_attributes[name])
        for name, values in train_attributes.items()
        if values.ndim == 1
    ]
    return [reader for reader in fitted if reader is not None]


def _reader(
    name: str,
    train: NDArray[np.floating],
    values: NDArray[np.floating],
    other: NDArray[np.floating],
    other_values: NDArray[np.floating],
) -> AttributeReader | None:
    distinct = np.unique(values)
    of_classes = len(distinct) <= MOST_CLASSES
    edges = (distinct if of_classes else np.unique(np.quantile(values, [0, 0.25, 0.5, 0.75])))[1:].astype(np.float64)
    labels, truth = np.digitize(values, edges), np.digitize(other_values, edges)
    if len(np.unique(labels)) < 2 or np.unique(labels, return_counts=True)[1].min() < FEWEST_OF_CLASS:
        return None
    discriminants = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(train, labels)
    probability = discriminants.predict_proba(other)
    errors = float(np.mean(discriminants.predict(other) != truth))
    constant = 1.0 - float(np.bincount(truth).max()) / len(truth)
    if errors > (1.0 - READABLE) * constant:
        return None
    starts = [f"{name}={value:g}" for value in distinct] if of_classes else None
    names = starts or [f"{name} below {edges[0]:.3g}", *(f"{name} from {edge:.3g}" for edge in edges)]
    sure = float(np.quantile(probability.max(axis=1), 1 - CONFIDENT))
    return AttributeReader(name, edges, tuple(names), discriminants, sure)


def class_coverage(
    readers: Sequence[AttributeReader], fake: NDArray[np.floating], real: NDArray[np.floating], seed: int
) -> ClassCoverage | None:
    """Compare the classes of fakes with those of reals that no classifier was fitted to. None without a classifier.

    The classifier makes the same errors on both sides. Equal distributions therefore have equal expected histograms,
    and a true distance of 0.

    Args:
        readers: classifiers of attributes.
        fake: (m, d) features.
        real: (n, d) features of held-out reals.
        seed: of the simulated noise of histograms.
    """
    rng = np.random.default_rng(seed)
    coverages, missing = list[ClassCoverage](), list[str]()
    for reader in readers:
        of_fakes, of_reals = reader.counts(fake), reader.counts(real)
        missing += [reader.names[k] for k in _missing(of_fakes, of_reals)]
        unrecognised = float(of_fakes[-1] / of_fakes.sum())
        coverages.append(ClassCoverage(reader.name, _total_variation(of_fakes, of_reals, rng), unrecognised, ()))
    if not coverages:
        return None
    return max(coverages, key=lambda each: each.distance.value)._replace(missing=tuple(missing))


def _missing(of_fakes: NDArray[np.int64], of_reals: NDArray[np.int64]) -> list[int]:
    """Return classes whose share among fakes is below ``PRESENT`` times that of reals, jointly at 95% confidence."""
    m, n, classes = of_fakes.sum(), of_reals.sum(), len(of_fakes) - 1
    at_most = beta.isf(0.05 / classes, of_fakes[:-1] + 1, m - of_fakes[:-1])
    return [k for k in range(classes) if at_most[k] < PRESENT * of_reals[k] / n]


def _total_variation(first: NDArray[np.int64], second: NDArray[np.int64], rng: np.random.Generator) -> Interval:
    """Return the total variation between two histograms of counts, with a conservative 95% interval.

    The estimate exceeds the true distance on average, since noise adds to it. Its upper end adds two standard errors of
    the largest difference in probability of one set of classes. Its lower end subtracts the noise of both histograms,
    by the triangle inequality: the 97.5% quantile of the summed distances between each and simulated ones.
    """
    m, n = int(first.sum()), int(second.sum())
    p, q = first / m, second / n
    value = float(np.abs(p - q).sum()) / 2
    more = p > q
    error = np.sqrt(sum(part * (1 - part) / size for part, size in ((p[more].sum(), m), (q[more].sum(), n))))
    noise = sum(
        np.abs(rng.multinomial(size, share, DRAWS) / size - share).sum(axis=1) / 2 for size, share in ((m, p), (n, q))
    )
    high = value + float(norm.ppf(0.975)) * float(error)
    return Interval(value, value - float(np.quantile(noise, 0.975)), high).clipped()
