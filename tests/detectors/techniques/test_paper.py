"""What every variant at its published size owes; each one's own sizes are tested beside its technique."""

import pytest
import torch

from arena.detectors.base import LearnedDetector
from arena.imaging.evidence import Evidence
from tests.detectors.attack import gradient
from tests.detectors.planted import CONF, build

NETWORKS = sorted({path.stem for path in (CONF / "detector" / "paper").glob("*.yaml")} - {"probe"})
"""All but that of a foundation model, whose weights are files."""


@pytest.mark.parametrize("technique", NETWORKS)
def test_it_stands_for_its_technique_and_its_gradient_reaches_the_image(technique):
    pytest.importorskip("transformers")
    detector = build(f"paper/{technique}", 64, 3, 256).eval()
    assert isinstance(detector, LearnedDetector)
    assert detector.artefact == build(technique, 64, 3, 256).artefact
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = gradient(detector, images, Evidence(levels=256))
    assert found.isfinite().all()
    assert (found.flatten(1).abs().sum(1) > 0).all()
