import functools

import pytest

from arena.detectors.base import Detector, Examples
from tests.detectors.planted import applies, build, digits, train


@functools.cache
def _trained(technique: str, swapped: bool) -> tuple[Detector, Examples]:
    learned, validation, test = digits(technique, swapped)
    detector = build(technique)
    train(detector, learned, validation)
    return detector, test


@pytest.fixture
def trained(technique):
    """A technique that learned its own artefact on digits, and the examples to test it on; trained once a session."""
    if not applies(technique):
        pytest.skip("does not apply to digits")
    return _trained(technique, swapped=False)


@pytest.fixture
def trained_swapped(technique):
    """The same, from swapped labels; the test's labels are right."""
    if not applies(technique):
        pytest.skip("does not apply to digits")
    return _trained(technique, swapped=True)
