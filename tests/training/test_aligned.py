"""Training with re-synthesised reals among the fakes."""

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from arena.config.schema import BatteryConfig
from arena.data.digits import Digits
from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, Labelled, score
from arena.detectors.heads import Sample
from arena.imaging.evidence import Evidence
from arena.training.aligned import resynthesised, with_aligned
from arena.training.battery import BatchGroup, train_battery
from tests.detectors.planted import CPU, EVIDENCE, PLANTED, build, examples, noise, portraits

DIGITS = Digits(resolution=8, seed=0, planted_amplitude=PLANTED).reals.images
FAKES = examples(DIGITS[900:1500], "quantisation", PLANTED).images[300:]


@pytest.fixture(scope="module")
def made():
    """The first reals, re-synthesised."""
    return resynthesised(Gallery(DIGITS[:900], EVIDENCE), torch.arange(400), seed=0)


def trained(names: list[str], aligned: list[str], seed: int = 0) -> dict[str, Detector]:
    """Detectors of 400 reals and 200 quantised digits; those named also learned from re-synthesised reals."""
    gallery = Gallery(torch.cat([DIGITS[:600], FAKES]), EVIDENCE)
    detectors = {name: build(name) for name in names}
    learn = Labelled(torch.cat([torch.arange(400), 600 + torch.arange(200)]), (torch.arange(600) >= 400).long())
    stop = Labelled(torch.cat([torch.arange(400, 600), 800 + torch.arange(100)]), (torch.arange(300) >= 200).long())
    train_battery(
        [BatchGroup(detectors, learn, stop, seed)],
        gallery,
        settings=BatteryConfig(images=3200, batch=64, learning_rate=2e-2, aligned=aligned),
        images=3200,
        fresh=True,
        machine=CPU,
    )
    return detectors


def test_they_are_images_of_the_datas_levels_in_the_order_of_the_reals(made):
    assert made.seen.shape == (400, 1, 8, 8)
    levels = Gallery(DIGITS[:900], EVIDENCE).seen.unique()
    assert set(made.seen.unique().tolist()) <= set(levels.tolist())
    errors = (made.images(torch.arange(400)) - Gallery(DIGITS, EVIDENCE).images(torch.arange(400))).abs()
    assert float(errors.mean()) < 0.2
    mismatched = made.images(torch.arange(400)) - Gallery(DIGITS, EVIDENCE).images(torch.arange(400).roll(1))
    assert float(errors.mean()) < 0.5 * float(mismatched.abs().mean())
    assert not torch.equal(made.seen, DIGITS[:400])


def test_they_come_from_the_learning_reals_alone_and_from_the_seed(made):
    """Other images of the gallery may be anything, and so may the global stream."""
    changed = DIGITS[:900].clone()
    changed[400:] = 0
    torch.manual_seed(5)
    state = torch.get_rng_state()
    again = resynthesised(Gallery(changed, EVIDENCE), torch.arange(400), seed=0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(again.seen, made.seen)
    other = resynthesised(Gallery(DIGITS[:900], EVIDENCE), torch.arange(400), seed=1)
    assert not torch.equal(other.seen, made.seen)


def test_colour_images_larger_than_a_crop_keep_their_size(monkeypatch):
    monkeypatch.setattr("arena.training.aligned.STEPS", 3)
    images = (noise(6, 3, 72, 72).add(1) * 127).to(torch.uint8)
    assert resynthesised(Gallery(images, Evidence(levels=256)), torch.arange(4), seed=0).seen.shape == (4, 3, 72, 72)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_of_fitted_techniques_a_share_of_the_fakes_is_replaced(share):
    labels = (torch.arange(20) >= 8).long()
    train, aligned = Sample(torch.arange(20.0)[:, None], labels), 100 + torch.arange(8.0)[:, None]
    mixed = with_aligned(train, aligned, share, seed=0)
    assert torch.equal(mixed.labels, labels)
    assert torch.equal(mixed.features[:8], train.features[:8])
    replaced = mixed.features[8:] >= 100
    assert int(replaced.sum()) == round(share * 12)
    assert torch.equal(mixed.features[8:][~replaced], train.features[8:][~replaced])
    counts = mixed.features[8:][replaced].unique(return_counts=True)[1]
    assert int(counts.max() - counts.min()) <= 1


def unseen(seed: int = 7) -> tuple[Tensor, Tensor]:
    """Digits that no detector learned from, re-synthesised by another autoencoder, and further digits."""
    gallery = Gallery(DIGITS[600:1200], EVIDENCE)
    return resynthesised(gallery, torch.arange(300), seed).seen, DIGITS[1200:1500]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("cnn", 0.6), ("forest", 0.85)])
def test_the_rule_catches_a_decoders_traces_that_training_without_it_misses(name, least):
    """Validation has the generator's fakes alone, so that a network may be stopped before it knows the traces well."""
    fakes, reals = unseen()
    images, labels = torch.cat([reals, fakes]), (torch.arange(600) >= 300).long()
    aucs = {
        bool(aligned): roc_auc_score(labels, score(trained([name], aligned)[name], images, EVIDENCE))
        for aligned in ([], [name])
    }
    assert aucs[False] < 0.5
    assert aucs[True] > least


@pytest.mark.slow
def test_it_still_learns_the_generators_fakes():
    detector = trained(["forest"], ["forest"])["forest"]
    fakes = examples(DIGITS[1500:1797], "quantisation", PLANTED)
    assert roc_auc_score(fakes.labels, score(detector, fakes.images, EVIDENCE)) > 0.9


@pytest.mark.slow
def test_members_that_are_not_named_have_the_same_scores_to_the_bit():
    names, images = ["cnn", "dct", "forest", "spectrum"], DIGITS[1200:1300]
    without, beside = trained(names, []), trained(names, ["cnn", "forest"])
    for name in names:
        same = torch.equal(score(without[name], images, EVIDENCE), score(beside[name], images, EVIDENCE))
        assert same == (name in ("dct", "spectrum"))


@pytest.mark.slow
def test_re_synthesised_portraits_resemble_the_portraits():
    gallery = Gallery(portraits()[:600], Evidence(levels=256))
    made, reals = resynthesised(gallery, torch.arange(500), seed=0), gallery.images(torch.arange(500))
    errors = made.images(torch.arange(500)) - reals
    assert float(errors.square().mean()) < 0.1 * float(reals.var())
