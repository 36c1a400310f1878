import math

import numpy as np
import pytest
from scipy.stats import binom

from arena.answer.guards import classes_guard, memorisation_guard, quality_guard, variety_guard
from arena.config.schema import AnswerConfig
from arena.metrics.interval import ratio_upper_bound
from arena.records.schema import QualityRecord
from tests.synthetic import QUALITY

LIMITS = AnswerConfig()


def record(**figures) -> QualityRecord:
    return QualityRecord(round=0, seed=0, features="fitted", n=500, **(QUALITY | figures))


def test_quality_is_refused_at_its_limit_but_for_alpha():
    """Distance and unit are equal in truth: the guard holds with probability alpha, and is broken with as much."""
    rng, repeats = np.random.default_rng(0), 2000
    held = broken = 0
    for distance, unit in rng.normal(0.08, [0.006, 0.008], size=(repeats, 2)):
        guard = quality_guard(
            record(
                kernel_distance=distance,
                kernel_distance_error=0.006,
                unit_kernel_distance=unit,
                unit_kernel_distance_error=0.008,
            ),
            LIMITS,
        )
        held, broken = held + guard.holds, broken + guard.broken
    low, high = binom.ppf([0.0005, 0.9995], repeats, LIMITS.alpha)
    assert low <= held <= high
    assert low <= broken <= high


@pytest.mark.parametrize(
    ("distance", "holds", "broken"), [(0.01, True, False), (0.079, False, False), (0.2, False, True)]
)
def test_quality_between_its_bounds_is_neither_shown_nor_broken(distance, holds, broken):
    guard = quality_guard(record(kernel_distance=distance), LIMITS)
    assert (guard.holds, guard.broken) == (holds, broken)
    assert guard.holds is (guard.figure < guard.threshold)
    assert bool(guard.reason) is not holds
    assert "Gaussian noise of 15.9 grey levels" in guard.unit


def test_a_unit_within_its_error_shows_no_quality_and_still_refuses_bad_images():
    faint = {"unit_kernel_distance": 0.004, "unit_kernel_distance_error": 0.004}
    near, far = (quality_guard(record(kernel_distance=distance, **faint), LIMITS) for distance in (0.004, 5.0))
    assert near.figure == far.figure == math.inf
    assert (near.holds, near.broken, far.holds, far.broken) == (False, False, False, True)


def test_the_upper_bound_of_a_ratio_covers_it():
    rng, repeats, covered = np.random.default_rng(1), 4000, 0
    for part, whole in rng.normal([0.3, 1.0], [0.1, 0.2], size=(repeats, 2)):
        covered += ratio_upper_bound(part, 0.1, whole, 0.2, z=1.645) >= 0.3
    assert binom.ppf(0.0005, repeats, 0.95) <= covered <= binom.ppf(0.9995, repeats, 0.95)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({}, ""),
        ({"near_copies": 0.08, "near_copies_low": 0.05}, "near copies"),
        # With few held-out reals, chance alone gives so many near copies.
        ({"near_copies": 0.08, "near_copies_low": 0.05, "near_copies_chance": 0.1}, ""),
        ({"exact_copies": 0.01, "exact_copies_p": 1e-5}, "1.0% of its fakes equal"),
        ({"exact_copies": 0.01, "exact_copies_p": 0.01}, ""),
        ({"memorisation": 0.65, "memorisation_low": 0.61}, "65% of its fakes lie nearer"),
    ],
)
def test_copies_are_refused_where_they_are_shown(figures, said):
    guard = memorisation_guard(record(**figures), LIMITS)
    assert guard.holds is not bool(said)
    assert guard.broken is bool(said)
    assert said in guard.reason
    assert "at most 17% are copies" in guard.unit


def test_classes_that_were_not_read_are_not_shown():
    unread = classes_guard(record(class_attribute=None, class_distance_low=None, class_distance_high=None), LIMITS)
    assert (unread.holds, unread.broken) == (False, False)
    assert unread.reason == "the classes of the images were not read"


def test_variety_is_the_smaller_of_recall_and_coverage():
    guard = variety_guard(record(recall=0.3, real_recall=0.75, coverage=0.9, real_coverage=0.9), LIMITS)
    assert guard.figure == pytest.approx(0.4)
    assert guard.broken
