"""Contract of every technique."""

import importlib
import pkgutil
import re
from collections import Counter

import pytest
import safetensors.torch
import torch
from sklearn.metrics import roc_auc_score

from arena.detectors import techniques
from arena.detectors.base import Detector, FittedDetector, GanAwareDetector, LearnedDetector, NetworkDetector
from arena.detectors.gallery import score
from arena.detectors.heads import Sample
from arena.detectors.networks.wrappers import Standardised
from arena.generators.controls import Artefact
from arena.generators.dcgan import DcganGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import on_levels, to_float
from tests.detectors.planted import (
    EVIDENCE,
    PAPER,
    TECHNIQUES,
    Examples,
    applies,
    build,
    build_a,
    drops,
    examples,
    gradient,
    noise,
    portraits,
    train_all,
)

every_technique = pytest.mark.parametrize("technique", TECHNIQUES)
BUILT = {name: build(name, 32, 3, 256) for name in TECHNIQUES}
DIFFERENTIABLE = [name for name, detector in BUILT.items() if detector.differentiable]
NEEDS_FAKES = [name for name, detector in BUILT.items() if detector.needs_fakes]
FIXED = [name for name, detector in BUILT.items() if isinstance(detector, FittedDetector | NetworkDetector)]
KINDS = sorted({detector.artefact for detector in BUILT.values()})
SIDES = ((8, 1, 17), (16, 3, 256), (32, 1, 256), (64, 3, 256))
COLOUR = Evidence(levels=256)
FILES = [name for _, name, _ in pkgutil.iter_modules(techniques.__path__)]


def auc(detector: Detector, examples: Examples, evidence: Evidence = EVIDENCE) -> float:
    return float(roc_auc_score(examples.labels, score(detector, examples.images, evidence)))


@pytest.mark.slow
@every_technique
def test_it_learns_its_artefact_and_scores_fakes_higher(trained):
    assert auc(*trained) > 0.9


@pytest.mark.slow
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
def test_its_tensors_hold_all_it_has_learned(trained, technique):
    detector, test = trained
    tensors = {name: value.contiguous() for name, value in detector.state_dict().items()}
    again = build(technique, seed=1)
    before = score(again, test.images, EVIDENCE)
    again.load_state_dict(safetensors.torch.load(safetensors.torch.save(tensors)))
    scores = score(detector, test.images, EVIDENCE)
    assert torch.equal(score(again, test.images, EVIDENCE), scores)
    assert not torch.allclose(before, scores, atol=0.1)


@every_technique
def test_a_new_detector_depends_on_its_seed_alone(technique):
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
    if isinstance(detector, FittedDetector):  # fitted on two classes, and on more images than it has neighbours
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
    detector = BUILT[technique]
    assert isinstance(detector, LearnedDetector) != isinstance(detector, FittedDetector)
    assert detector.artefact in Artefact.__args__


def test_the_planted_artefacts_are_spread_over_the_techniques():
    """One trivial artefact for nearly all would show little (outside reading, B5)."""
    kinds = Counter(detector.artefact for detector in BUILT.values())
    assert max(kinds.values()) <= len(BUILT) / 3
    assert len({BUILT[technique].artefact for technique in ("cnn", "dct", "spectrum", "forest")}) == 3


@every_technique
def test_learning_draws_nothing_from_the_global_stream(technique):
    """Many detectors learn in parallel: the draws of one would depend on the others."""
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


@pytest.mark.parametrize("file", FILES)
def test_its_docstring_tells_paper_differences_blind_spots_and_example(file):
    module = importlib.import_module(f"{techniques.__name__}.{file}")
    classes = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Detector)]
    own = [one for one in classes if one.__module__ == module.__name__]
    assert own
    for one in own:
        headings = re.findall(r"^    (Paper|Differences|Blind spots|Example|Args):", one.__doc__ or "", re.MULTILINE)
        assert headings == ["Paper", "Differences", "Blind spots", "Example", "Args"], one.__name__


@pytest.mark.slow
@every_technique
def test_an_outer_autocast_changes_no_score(trained):
    detector, test = trained
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = score(detector, test.images, EVIDENCE)
    assert torch.equal(inside, score(detector, test.images, EVIDENCE))


@every_technique
def test_scoring_changes_no_tensor_of_a_detector_in_training(trained):
    detector, test = trained
    before = {name: value.clone() for name, value in detector.state_dict().items()}
    detector.train()
    score(detector, test.images, EVIDENCE)
    assert detector.training
    for name, value in detector.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("technique", ["bayar", "dct", "dct_cnn", "npr", "wavelet"])
def test_prepare_standardises_the_features_that_the_network_sees(technique):
    detector, images = build(technique, 32, 3, 256), noise(100, 3, 32, 32)
    assert isinstance(detector, LearnedDetector)
    detector.prepare(images)
    standardised = next(module for module in detector.modules() if isinstance(module, Standardised))
    seen = []
    standardised.network.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    detector.eval()(images)
    over = (0, 2, 3) if standardised.mean.shape[-1] == 1 else (0,)
    torch.testing.assert_close(seen[0].mean(over), torch.zeros(()).expand_as(seen[0].mean(over)), rtol=0, atol=1e-3)
    torch.testing.assert_close(seen[0].std(over), torch.ones(()).expand_as(seen[0].std(over)), rtol=0, atol=1e-3)


@pytest.mark.parametrize("technique", sorted(set(FIXED) - {"bayar"}))
def test_mixed_precision_changes_no_fixed_feature(technique):
    """The filters of ``bayar`` are learned."""
    detector, images = BUILT[technique], noise(4, 3, 32, 32)
    assert isinstance(detector, FittedDetector | NetworkDetector)
    compute = detector.features if isinstance(detector, FittedDetector) else detector.representation
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = compute(images)
    assert inside.dtype in (torch.float32, torch.float64)
    assert torch.equal(inside, compute(images))


@pytest.mark.parametrize("technique", ["dctr", "forest", "rich"])
def test_of_more_images_than_fit_in_one_block_each_has_its_own_features(technique):
    images, detector = on_levels(noise((1 << 17) // 64 + 2, 1, 8, 8), 17), build_a(FittedDetector, technique)
    alone = torch.cat([detector.features(image[None]) for image in images[-3:]])
    torch.testing.assert_close(detector.features(images)[-3:], alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("technique", "part"), [("inversion", "generator"), ("lgrad", "discriminator")])
def test_its_part_of_the_gan_is_a_frozen_copy_and_is_saved(technique, part):
    detector, images = build(technique), noise(4, 1, 8, 8)
    assert isinstance(detector, GanAwareDetector)
    gan = DcganGenerator(resolution=8, channels=1, levels=17, width=16, z_dim=16)
    networks = {"generator": gan, "discriminator": gan.discriminator(8)}
    detector.attach_gan(gan, networks["discriminator"])
    before = detector.eval()(images)
    with torch.no_grad():
        for parameter in (parameter for network in networks.values() for parameter in network.parameters()):
            parameter.zero_()
    torch.testing.assert_close(detector(images), before)
    assert all(parameter.requires_grad for parameter in networks[part].parameters())
    copied = detector.train().get_submodule(part)
    assert not any(module.training for module in copied.modules())
    assert not any(parameter.requires_grad for parameter in copied.parameters())
    again = build(technique, seed=1)
    assert isinstance(again, GanAwareDetector)
    again.attach_gan(gan, networks["discriminator"])
    again.load_state_dict(detector.state_dict())
    torch.testing.assert_close(again.eval()(images), before)


@pytest.mark.parametrize("technique", ["bayar", "freqnet", "srm"])
def test_a_technique_on_residuals_does_not_see_brightness(technique):
    detector, images = build(technique, 32, 3, 256).eval(), noise(4, 3, 32, 32) / 2
    torch.testing.assert_close(detector(images + 0.4), detector(images), rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("technique", PAPER)
def test_a_variant_at_its_published_size_has_the_artefact_and_the_gradient_of_its_technique(technique):
    pytest.importorskip("transformers")
    detector = build(technique, 32, 3, 256).eval()
    assert isinstance(detector, LearnedDetector)
    assert detector.artefact == build(technique.removeprefix("paper/"), 32, 3, 256).artefact
    reached = gradient(detector, noise(2, 3, 32, 32), COLOUR)
    assert reached.isfinite().all()
    assert (reached.flatten(1).abs().sum(1) > 0).all()


@pytest.mark.parametrize("technique", DIFFERENTIABLE)
class TestGradient:
    def test_it_reaches_every_image_down_the_evidence_path(self, trained):
        detector, test = trained
        reached = gradient(detector, to_float(test.images[:40]), EVIDENCE)
        assert reached.isfinite().all()
        assert (reached.flatten(1).norm(dim=1) > 0).all()

    @pytest.mark.parametrize("value", [-1.0, -0.875, 0.0, 1.0])
    def test_it_is_finite_of_a_flat_image_too(self, trained, value):
        assert gradient(trained[0], torch.full((1, 1, 8, 8), value), EVIDENCE).isfinite().all()

    @pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
    def test_what_it_computes_of_a_flat_colour_image_has_a_finite_gradient(self, technique, value):
        detector, flat = build(technique, 32, 3, 256).eval(), torch.full((1, 3, 32, 32), value, requires_grad=True)
        computed = detector.features(flat) if isinstance(detector, FittedDetector) else detector(flat)
        (reached,) = torch.autograd.grad(computed.sum(), flat)
        assert computed.isfinite().all()
        assert reached.isfinite().all()


def test_without_a_gradient_it_says_so_and_gives_none():
    for technique in set(TECHNIQUES) - set(DIFFERENTIABLE):
        logits = BUILT[technique](COLOUR(torch.rand(2, 3, 32, 32).requires_grad_()))
        assert not logits.requires_grad, technique


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_on_portraits_all_learn_their_artefact_and_a_grey_level_down_the_gradient_hides_it(kind):
    """In one pass. The step goes through the rounding, and a random step of equal size has less effect."""
    own = {name: build(name, 32, 3, 256) for name in TECHNIQUES}
    own = {name: detector for name, detector in own.items() if detector.artefact == kind}
    images = portraits()
    parts = (images[:500], images[500:650], images[650:])
    learned, validation, test = (examples(part, kind, 8, levels=256) for part in parts)
    train_all(own, learned, validation, images=4800, evidence=COLOUR)
    aucs = {name: auc(detector, test, COLOUR) for name, detector in own.items()}
    assert {name: value for name, value in aucs.items() if value < 0.9} == {}
    fakes = test.images[test.labels == 1][:64]
    shares = {}
    for name, detector in own.items():
        if detector.differentiable:
            down, aside = drops(detector, fakes, COLOUR)
            shares[name] = (float((down > 0).float().mean()), float((down > aside).float().mean()))
    assert {name: share for name, share in shares.items() if min(share) < 0.95} == {}
