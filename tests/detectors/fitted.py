"""What the tests of fitted techniques share: from examples to features, and two classes in any number of dimensions."""

import numpy as np
import torch

from arena.detectors.base import Examples, FittedDetector
from arena.detectors.heads.head import Sample
from arena.imaging.images import to_float
from tests.detectors import planted


def build(technique: str, resolution: int = 8, channels: int = 1, levels: int = 17) -> FittedDetector:
    """A fitted technique as its config describes it."""
    detector = planted.build(technique, resolution, channels, levels)
    assert isinstance(detector, FittedDetector)
    return detector


def sample(detector: FittedDetector, examples: Examples) -> Sample:
    """Features of examples, and their labels."""
    return Sample(detector.features(to_float(examples.images)), examples.labels)


def fit(detector: FittedDetector, learned: Examples, validation: Examples, seed: int = 0) -> None:
    """Fit a technique on examples; one that needs no fakes is handed the reals alone."""
    if not detector.needs_fakes:
        learned, validation = (
            Examples(part.images[part.labels == 0], part.labels[part.labels == 0]) for part in (learned, validation)
        )
    detector.fit(sample(detector, learned), sample(detector, validation), seed)


def logits(detector: FittedDetector, examples: Examples) -> torch.Tensor:
    """Logits of examples, without a gradient."""
    with torch.no_grad():
        return detector(to_float(examples.images))


def clouds(n: int, features: int, seed: int, fakes: float = 0.5, apart: float = 1.0) -> Sample:
    """Two normal classes on axes of very different scales, ``apart`` deviations from each other along each axis."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < fakes * n).astype(np.int64)
    scales = np.geomspace(0.1, 100, features)
    values = (rng.normal(size=(n, features)) + apart * labels[:, None]) * scales + 3 * scales
    return Sample(torch.from_numpy(values), torch.from_numpy(labels))
