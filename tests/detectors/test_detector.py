"""What every technique owes, whatever it is made of."""

import pytest
import safetensors.torch
import torch
from sklearn.metrics import roc_auc_score

from arena.detectors.detector import Examples, FittedDetector, LearnedDetector
from arena.detectors.scoring import score
from arena.errors import ArenaError
from arena.generators.artefacts import Artefact
from arena.images import to_float
from tests.detectors.planted import CONF, EVIDENCE, TECHNIQUES, build

DIFFERENTIABLE = {"cnn": True, "dct": True, "spectrum": True, "forest": False}
every_technique = pytest.mark.parametrize("technique", TECHNIQUES)


def auc(detector, examples):
    return roc_auc_score(examples.labels, score(detector, examples.images, EVIDENCE))


def test_the_table_is_the_battery():
    configured = {path.stem for path in (CONF / "detector").glob("*.yaml")} - {"stack"}
    assert set(TECHNIQUES) == configured == set(DIFFERENTIABLE)


@every_technique
def test_it_learns_the_artefact_of_its_family_and_says_fake_by_a_higher_score(trained):
    assert auc(*trained) > 0.9


@every_technique
def test_from_swapped_labels_it_learns_the_opposite(trained_swapped):
    assert auc(*trained_swapped) < 0.1


@every_technique
def test_a_score_depends_neither_on_batch_mates_nor_on_their_order(trained):
    detector, test = trained
    images = test.images[::20]
    together = score(detector, images, EVIDENCE)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(score(detector, images[order], EVIDENCE), together[order], rtol=1e-5, atol=1e-5)
    alone = torch.cat([score(detector, image[None], EVIDENCE) for image in images])
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-5)


@every_technique
def test_its_tensors_are_all_it_knows(trained, technique):
    detector, test = trained
    tensors = {name: value.contiguous() for name, value in detector.state_dict().items()}
    again = build(technique, seed=1)
    before = score(again, test.images, EVIDENCE)
    again.load_state_dict(safetensors.torch.load(safetensors.torch.save(tensors)))
    scores = score(detector, test.images, EVIDENCE)
    assert torch.equal(score(again, test.images, EVIDENCE), scores)
    assert not torch.allclose(before, scores, atol=0.1)


@every_technique
def test_a_new_one_depends_on_its_seed_alone(technique):
    torch.manual_seed(1)
    one = build(technique, seed=3).state_dict()
    torch.rand(5)
    for name, value in build(technique, seed=3).state_dict().items():
        assert torch.equal(value, one[name])


@every_technique
@pytest.mark.parametrize(("resolution", "channels", "levels"), [(8, 1, 17), (16, 3, 256), (32, 1, 256), (64, 3, 256)])
def test_logits_of_every_shape_of_image(technique, resolution, channels, levels):
    detector = build(technique, resolution, channels, levels).eval()
    logits = detector(torch.rand(3, channels, resolution, resolution) * 2 - 1)
    assert logits.shape == (3,)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


FLAT = {"black": -1.0, "white": 1.0, "nearly black": -0.875}


@pytest.mark.parametrize("technique", [technique for technique, smooth in DIFFERENTIABLE.items() if smooth])
class TestGradient:
    def gradient(self, detector, images):
        images = images.clone().requires_grad_()
        detector.eval()
        (gradient,) = torch.autograd.grad(detector(EVIDENCE(images)).sum(), images)
        return gradient

    def test_it_says_so(self, technique):
        assert build(technique).differentiable

    def test_it_reaches_every_image_down_the_evidence_path(self, trained):
        detector, test = trained
        gradient = self.gradient(detector, to_float(test.images[:40]))
        assert gradient.isfinite().all()
        assert (gradient.flatten(1).norm(dim=1) > 0).all()

    @pytest.mark.parametrize("value", FLAT.values(), ids=FLAT.keys())
    def test_it_reaches_a_flat_image_too(self, trained, value):
        gradient = self.gradient(trained[0], torch.full((1, 1, 8, 8), value))
        assert gradient.isfinite().all()
        assert gradient.abs().max() > 0

    def test_it_is_finite_where_every_coefficient_is_exactly_zero(self, trained):
        # Middle grey is 0: both spectra are even functions there, so that no gradient need be left.
        assert self.gradient(trained[0], torch.zeros(1, 1, 8, 8)).isfinite().all()

    def test_it_points_where_the_logit_falls(self, trained):
        detector, test = trained
        images = to_float(test.images[test.labels == 1])[:40]
        gradient = self.gradient(detector, images)
        # A short step, straight to the detector: the levels would swallow it.
        step = 1e-4 * gradient / gradient.flatten(1).norm(dim=1)[:, None, None, None]
        with torch.no_grad():
            fell = detector(images - step) < detector(images)
        assert fell.float().mean() > 0.9


def test_without_a_gradient_it_says_so_and_gives_none():
    forest = build("forest")
    assert not forest.differentiable
    logits = forest(EVIDENCE(torch.rand(2, 1, 8, 8).requires_grad_()))
    assert not logits.requires_grad
    with pytest.raises(RuntimeError, match="does not require grad"):
        logits.sum().backward()


@every_technique
def test_it_is_of_one_kind_and_names_an_artefact_that_can_be_planted(technique):
    detector = build(technique)
    assert isinstance(detector, LearnedDetector) != isinstance(detector, FittedDetector)
    assert detector.artefact in Artefact.__args__


def test_weights_make_both_classes_count_the_same():
    labels = torch.tensor([0] * 6 + [1] * 2)
    weights = Examples(torch.zeros(8, 1, 8, 8, dtype=torch.uint8), labels).weights
    assert weights[labels == 0].sum() == weights[labels == 1].sum() == 4


@pytest.mark.parametrize(
    ("technique", "wrong"),
    [
        ("cnn", {"width": 0}),
        ("dct", {"epsilon": 0.0}),
        ("spectrum", {"epsilon": -1.0}),
        ("forest", {"trees": 0}),
        ("forest", {"leaves": 1}),
        ("forest", {"learning_rate": 0.0}),
        ("forest", {"patience": 0}),
    ],
    ids=str,
)
def test_an_impossible_value_names_its_key(technique, wrong):
    (key,) = wrong
    detector = build(technique)
    right = {"trees": 5, "leaves": 4, "learning_rate": 0.1, "patience": 2} if technique == "forest" else {}
    with pytest.raises(ArenaError, match=f"battery.members.{technique}.{key}={wrong[key]}: expected"):
        type(detector)(resolution=8, channels=1, levels=17, **(right | wrong))
