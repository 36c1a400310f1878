import pytest
import torch
from torch import Tensor, nn

from arena.detectors import gallery as module
from arena.detectors.base import Detector, FittedDetector
from arena.detectors.gallery import Gallery, score, score_all
from arena.detectors.heads import LinearSvm
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from tests.detectors.planted import EVIDENCE, build

COLOUR = torch.randint(0, 256, (11, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
GREY = torch.randint(0, 256, (11, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Corner(FittedDetector):
    """Its feature is the first pixel, times ``factor``."""

    differentiable, artefact = True, "checkerboard"

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__(resolution=12, channels=3, levels=5)
        self.head, self.factor = LinearSvm(), factor

    def features(self, images: Tensor) -> Tensor:
        return self.factor * images[:, :, 0, 0]


class Recorded(Detector):
    """A linear detector that records its calls."""

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


@pytest.fixture
def gallery():
    return Gallery(COLOUR, Evidence(levels=5))


def test_its_images_came_down_the_evidence_path(gallery):
    assert torch.equal(gallery.images(torch.arange(11)), Evidence(levels=5)(to_float(COLOUR)))
    assert len(gallery.images(torch.arange(11)).unique()) == 5


def test_features_of_a_technique_are_computed_once_for_all_its_judges(gallery):
    gallery.measure({"corner": Corner()})
    gallery.measure({"corner": Corner(factor=2.0)})  # a fresh judge, of other features here so that it would show
    which = torch.tensor([7, 2, 2])
    assert torch.equal(gallery.features("corner", which), gallery.images(which)[:, :, 0, 0])


def test_every_judge_is_on_the_gallerys_device_even_if_its_features_were_computed_before(gallery, monkeypatch):
    """The head scores there: on an accelerator the second fold's judge would otherwise stay on the processor."""
    moved = []
    monkeypatch.setattr(Corner, "to", lambda self, device: moved.append((self, device)) or self)
    one, other = Corner(), Corner()
    gallery.measure({"corner": one})
    gallery.measure({"corner": other})
    assert moved == [(one, gallery.device), (other, gallery.device)]


@pytest.mark.parametrize("side", [4, 12, 40])
def test_a_crop_is_a_square_of_native_pixels_at_the_given_place(gallery, side):
    which, at = torch.tensor([3, 0, 3]), torch.tensor([[0.0, 0.0], [1.0, 0.5], [0.49, 1.0]])
    crops, whole = gallery.crops(which, side, at), gallery.images(which)
    if side >= 12:
        assert torch.equal(crops, whole)
        return
    for crop, image, (top, left) in zip(crops, whole, [(0, 0), (8, 4), (4, 8)], strict=True):
        assert torch.equal(crop, image[:, top : top + side, left : left + side])


def test_large_images_are_scored_one_by_one():
    large, detector = Gallery(torch.zeros(3, 3, 1024, 1024, dtype=torch.uint8), Evidence(levels=256)), Recorded()
    detector.linear = nn.Linear(3 * 1024**2, 1)
    score_all({"it": detector}, large)
    assert [len(chunk) for chunk in detector.seen] == [1, 1, 1]


@pytest.mark.parametrize("training", [True, False])
def test_it_scores_in_eval_mode_and_full_precision_and_restores_the_mode(training):
    detector = Recorded().train(training)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = score(detector, GREY, EVIDENCE)
    assert detector.modes == [False]
    assert detector.training is training
    assert scores.dtype == torch.float32
    assert torch.equal(scores, score(detector, GREY, EVIDENCE))


def test_every_image_comes_down_the_evidence_path_in_chunks(monkeypatch):
    monkeypatch.setattr(module, "SCORE_BATCH", 4)
    detector, evidence = Recorded(), Evidence(levels=3)
    scores = score(detector, GREY, evidence)
    assert [len(chunk) for chunk in detector.seen] == [4, 4, 3]
    seen = torch.cat(detector.seen)
    assert torch.equal(seen, evidence(to_float(GREY)))
    assert len(seen.unique()) == 3
    assert scores.shape == (11,)


def test_scores_of_several_detectors_come_in_their_order():
    """Fitted and learned detectors are scored apart."""
    names = ["cnn", "spectrum", "dct", "wavelet"]
    scores = score_all({name: build(name) for name in names}, Gallery(GREY, EVIDENCE))
    assert [*scores] == names
    for name, logits in scores.items():
        torch.testing.assert_close(logits, score(build(name), GREY, EVIDENCE))
