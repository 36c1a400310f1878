from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binom

from arena.metrics.classes import AttributeReader, ClassCoverage, attribute_readers, class_coverage

CENTRES = 6 * np.eye(4, 6)


def drawn(n, classes, rng):
    """Features around the centre of each class, and the classes."""
    label = rng.choice(classes, n)
    return CENTRES[label] + rng.normal(size=(n, 6)), label.astype(np.float32)


@pytest.fixture(scope="module")
def readers():
    rng = np.random.default_rng(0)
    (train, digit), (other, other_digit) = drawn(400, 4, rng), drawn(200, 4, rng)
    return attribute_readers(train, {"digit": digit}, other, {"digit": other_digit})


def coverage_of(readers: Sequence[AttributeReader], fakes, reals, seed: int) -> ClassCoverage:
    """Coverage by readers of which at least one can be read."""
    found = class_coverage(readers, fakes, reals, seed)
    assert found is not None
    return found


def test_equal_distributions_are_at_no_distance(readers):
    """The lower end of the 95% interval is 0 in 97.5% of samples or more, and the upper end stays small."""
    rng, repeats, covered = np.random.default_rng(1), 60, 0
    for seed in range(repeats):
        found = coverage_of(readers, drawn(500, 4, rng)[0], drawn(300, 4, rng)[0], seed)
        assert found.missing == ()
        assert found.distance.high < 0.25
        covered += found.distance.low <= 0
    assert covered >= binom.ppf(0.001, repeats, 0.975)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_the_interval_holds_the_true_distance(readers, share):
    """A class that is rarer by ``share`` among fakes, which others take, is at this distance."""
    rng, repeats, covered = np.random.default_rng(2), 60, 0
    rare = np.array([0.4 - share, *np.full(3, (0.6 + share) / 3)])
    usual = np.array([0.4, 0.2, 0.2, 0.2])
    true = np.abs(rare - usual).sum() / 2
    for seed in range(repeats):
        fakes, reals = (
            CENTRES[rng.choice(4, n, p=p)] + 0.3 * rng.normal(size=(n, 6)) for n, p in ((800, rare), (500, usual))
        )
        low, high = coverage_of(readers, fakes, reals, seed).distance[1:]
        covered += low <= true <= high
    assert covered >= binom.ppf(0.001, repeats, 0.95)


def test_a_missing_class_is_named(readers):
    rng = np.random.default_rng(3)
    found = coverage_of(readers, drawn(600, [0, 1, 3], rng)[0], drawn(600, 4, rng)[0], 0)
    assert found.missing == ("digit=2",)
    assert found.distance.value == pytest.approx(0.25, abs=0.06)


def test_a_few_images_prove_no_class_missing(readers):
    rng = np.random.default_rng(4)
    assert coverage_of(readers, drawn(10, [0, 1, 3], rng)[0], drawn(600, 4, rng)[0], 0).missing == ()


def test_images_between_the_classes_are_not_recognised(readers):
    """Convention: 5% of reals are not recognised."""
    rng = np.random.default_rng(5)
    between = (CENTRES[rng.integers(4, size=500)] + CENTRES[rng.integers(4, size=500)]) / 2
    found = coverage_of(readers, between + 0.2 * rng.normal(size=(500, 6)), drawn(600, 4, rng)[0], 0)
    assert found.unrecognised > 0.4
    assert coverage_of(readers, drawn(500, 4, rng)[0], drawn(600, 4, rng)[0], 0).unrecognised < 0.12


def test_attributes_of_many_values_are_cut_at_their_quartiles():
    rng = np.random.default_rng(6)
    features = rng.normal(size=(800, 3))
    attributes = {"pose": (features[:, 0] + 0.1 * rng.normal(size=800)).astype(np.float32)}
    first, second = ({"pose": attributes["pose"][part]} for part in (slice(500), slice(500, None)))
    (reader,) = attribute_readers(features[:500], first, features[500:], second)
    assert np.diff(reader.edges).min() > 0
    found = coverage_of([reader], features[500:][features[500:, 0] < 0.5], rng.normal(size=(600, 3)), 0)
    assert found.attribute == "pose"
    assert len(found.missing) == 1
    assert "from" in found.missing[0]


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(7).integers(4, size=400).astype(np.float32),  # nothing in the features tells them
        np.random.default_rng(8).normal(size=(400, 3)).astype(np.float32),  # three numbers an image
        np.zeros(400, np.float32),  # one class
        np.arange(400) < 2,  # a class of two images
    ],
)
def test_attributes_that_cannot_be_read_are_left_out(values):
    features = np.random.default_rng(9).normal(size=(400, 6))
    readers = attribute_readers(features, {"attribute": values}, features[:200], {"attribute": values[:200]})
    assert readers == []
    assert class_coverage(readers, features, features, 0) is None
