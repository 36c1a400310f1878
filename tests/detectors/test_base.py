"""What every technique owes, whatever it is made of."""

import pytest
import safetensors.torch
import torch
from sklearn.metrics import roc_auc_score

from arena.detectors.base import Detector, Examples, FittedDetector, LearnedDetector
from arena.detectors.gallery import score
from arena.detectors.heads.head import Sample
from arena.generators.artefacts import Artefact
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from tests.detectors.attack import drops, gradient
from tests.detectors.planted import (
    EVIDENCE,
    TECHNIQUES,
    applies,
    build,
    examples,
    portraits,
    train_all,
)

every_technique = pytest.mark.parametrize("technique", TECHNIQUES)
DIFFERENTIABLE = [name for name in TECHNIQUES if build(name, 32, 3, 256).differentiable]
NEEDS_FAKES = [name for name in TECHNIQUES if build(name, 32, 3, 256).needs_fakes]
SIDES = ((8, 1, 17), (16, 3, 256), (32, 1, 256), (64, 3, 256))
COLOUR = Evidence(levels=256)


def auc(detector: Detector, examples: Examples, evidence: Evidence = EVIDENCE) -> float:
    return float(roc_auc_score(examples.labels, score(detector, examples.images, evidence)))


@every_technique
def test_it_learns_the_artefact_of_its_family_and_says_fake_by_a_higher_score(trained):
    assert auc(*trained) > 0.9


@pytest.mark.parametrize("technique", NEEDS_FAKES)
def test_from_swapped_labels_it_learns_the_opposite(trained_swapped):
    assert auc(*trained_swapped) < 0.1


@every_technique
def test_a_score_depends_neither_on_batch_mates_nor_on_their_order(trained):
    detector, test = trained
    images = test.images[::20]
    together = score(detector, images, EVIDENCE)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(score(detector, images[order], EVIDENCE), together[order], rtol=1e-4, atol=1e-4)
    alone = torch.cat([score(detector, image[None], EVIDENCE) for image in images])
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-4)


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
    one = build(technique, 32, 3, 256, seed=3).state_dict()
    torch.rand(5)
    for name, value in build(technique, 32, 3, 256, seed=3).state_dict().items():
        assert torch.equal(value, one[name])


@every_technique
@pytest.mark.parametrize(("resolution", "channels", "levels"), SIDES)
def test_logits_of_every_shape_of_image_it_applies_to(technique, resolution, channels, levels):
    if not applies(technique, resolution, channels, levels):
        pytest.skip("does not apply")
    detector = build(technique, resolution, channels, levels).eval()
    images = torch.rand(3, channels, resolution, resolution) * 2 - 1
    flat = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1, 1).expand_as(images)
    if isinstance(detector, FittedDetector):  # of two classes it has seen, and of more images than it has neighbours
        features = detector.features(torch.rand(24, channels, resolution, resolution) * 2 - 1)
        labels = torch.arange(24) % 2 if detector.needs_fakes else torch.zeros(24).long()
        detector.fit(Sample(features[:16], labels[:16]), Sample(features[16:], labels[16:]), seed=0)
    for batch in (images, flat):
        logits = detector(batch)
        assert logits.shape == (3,)
        assert logits.dtype == torch.float32
        assert logits.isfinite().all()


@every_technique
def test_it_is_of_one_kind_and_names_an_artefact_that_can_be_planted(technique):
    detector = build(technique, 32, 3, 256)
    assert isinstance(detector, LearnedDetector) != isinstance(detector, FittedDetector)
    assert detector.artefact in Artefact.__args__


@every_technique
def test_before_it_learned_nothing_is_drawn_from_the_global_stream(technique):
    """Many learn side by side: what one drew would depend on the others."""
    detector = build(technique, 32, 3, 256)
    state = torch.get_rng_state()
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    if isinstance(detector, LearnedDetector):
        detector.prepare(images)
        altered = detector.augmented(images, torch.Generator().manual_seed(1))
        detector.loss(altered, torch.tensor([0.0, 1.0, 0.0, 1.0])).backward()
    else:
        detector(images)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("technique", DIFFERENTIABLE)
class TestGradient:
    def test_it_reaches_every_image_down_the_evidence_path(self, trained):
        detector, test = trained
        found = gradient(detector, to_float(test.images[:40]), EVIDENCE)
        assert found.isfinite().all()
        assert (found.flatten(1).norm(dim=1) > 0).all()

    @pytest.mark.parametrize("value", [-1.0, -0.875, 0.0, 1.0])
    def test_it_is_finite_of_a_flat_image_too(self, trained, value):
        assert gradient(trained[0], torch.full((1, 1, 8, 8), value), EVIDENCE).isfinite().all()


def test_without_a_gradient_it_says_so_and_gives_none():
    for technique in set(TECHNIQUES) - set(DIFFERENTIABLE):
        detector = build(technique, 32, 3, 256)
        logits = detector(COLOUR(torch.rand(2, 3, 32, 32).requires_grad_()))
        assert not logits.requires_grad, technique


KINDS = sorted({build(name, 32, 3, 256).artefact for name in TECHNIQUES})


@pytest.mark.parametrize("kind", KINDS)
def test_on_portraits_all_learn_their_artefact_and_a_grey_level_down_the_gradient_hides_it(kind):
    """In one pass; the step goes through the rounding, and a random one of equal size does not do it."""
    own = {name: build(name, 32, 3, 256) for name in TECHNIQUES}
    own = {name: detector for name, detector in own.items() if detector.artefact == kind}
    images = portraits()
    parts = (images[:500], images[500:650], images[650:])
    learned, validation, test = (examples(part, kind, 8, levels=256) for part in parts)
    train_all(own, learned, validation, images=4800, evidence=COLOUR)
    found = {name: auc(detector, test, COLOUR) for name, detector in own.items()}
    assert {name: value for name, value in found.items() if value < 0.9} == {}
    fakes = test.images[test.labels == 1][:64]
    shares = {}
    for name, detector in own.items():
        if detector.differentiable:
            down, aside = drops(detector, fakes, COLOUR)
            shares[name] = (float((down > 0).float().mean()), float((down > aside).float().mean()))
    assert {name: share for name, share in shares.items() if min(share) < 0.95} == {}
