import functools

import pytest

from arena.detectors.base import Detector
from tests.detectors.planted import Examples, applies, build, digits, train


@functools.cache
def _trained(technique: str, swapped: bool) -> tuple[Detector, Examples]:
    learned, validation, test = digits(technique, swapped)
    detector = build(technique)
    train(detector, learned, validation)
    return detector, test


@pytest.fixture
def trained(technique):
    """A technique trained on its own artefact in digits, and the examples to test it on; once a session."""
    if not applies(technique):
        pytest.skip("does not apply to digits")
    return _trained(technique, swapped=False)


@pytest.fixture
def trained_swapped(technique):
    """The same, trained on swapped labels; the labels of the test are right."""
    if not applies(technique):
        pytest.skip("does not apply to digits")
    return _trained(technique, swapped=True)
