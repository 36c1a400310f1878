import pytest
import torch
from torch import Tensor, nn

from arena.detectors import gallery
from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, score, score_all
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from tests.detectors.planted import EVIDENCE, TECHNIQUES, build

IMAGES = torch.randint(0, 256, (11, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Probe(Detector):
    """A linear detector that writes down how it was called."""

    differentiable, artefact = True, "checkerboard"

    def __init__(self) -> None:
        super().__init__(resolution=8, channels=1, levels=17)
        self.linear = nn.Linear(64, 1)
        self.modes: list[bool] = []
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.modes.append(self.training)
        self.seen.append(images)
        logits = self.linear(images.flatten(1)).squeeze(1)
        assert logits.dtype == torch.float32
        assert not torch.is_grad_enabled()
        return logits


@pytest.mark.parametrize("training", [True, False])
def test_it_scores_in_eval_mode_and_full_precision_and_puts_the_mode_back(training):
    probe = Probe().train(training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = score(probe, IMAGES, EVIDENCE)
    assert probe.modes == [False]
    assert probe.training is training
    assert scores.dtype == torch.float32
    assert torch.equal(scores, score(probe, IMAGES, EVIDENCE))


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_an_outer_autocast_changes_no_score(trained):
    detector, test = trained
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = score(detector, test.images, EVIDENCE)
    assert torch.equal(inside, score(detector, test.images, EVIDENCE))


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_scoring_changes_no_tensor_of_a_detector_in_training(trained):
    detector, test = trained
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    detector.train()
    score(detector, test.images, EVIDENCE)
    assert detector.training
    for name, value in detector.state_dict().items():
        assert torch.equal(value, before[name])


def test_every_image_comes_down_the_evidence_path_in_chunks(monkeypatch):
    monkeypatch.setattr(gallery, "SCORE_BATCH", 4)
    probe, evidence = Probe(), Evidence(levels=3)
    scores = score(probe, IMAGES, evidence)
    assert [len(chunk) for chunk in probe.seen] == [4, 4, 3]
    seen = torch.cat(probe.seen)
    assert torch.equal(seen, evidence(to_float(IMAGES)))
    assert len(seen.unique()) == 3
    assert scores.shape == (11,)


def test_scores_of_several_come_in_their_order():
    """Fitted and learned ones are scored apart; whoever pairs scores with names must not have to know."""
    names = ["cnn", "spectrum", "dct", "wavelet"]
    found = score_all({name: build(name) for name in names}, Gallery(IMAGES, EVIDENCE))
    assert [*found] == names
    for name, logits in found.items():
        torch.testing.assert_close(logits, score(build(name), IMAGES, EVIDENCE))
