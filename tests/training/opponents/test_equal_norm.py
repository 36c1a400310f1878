import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.config.schema import BatteryConfig
from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, Labelled, score_all
from arena.imaging.evidence import Evidence
from arena.metrics.auc import auc
from arena.training.battery import BatchGroup, train_battery
from arena.training.objectives import Fool, Match, Objective
from arena.training.opponents.equal_norm import (
    Calibrated,
    EqualNormOpponents,
    calibrated,
    logit_gradient,
    with_shuffled_labels,
)
from arena.training.opponents.frozen import FrozenOpponents, Member, Pool
from tests.detectors.planted import CPU, build

BATTERY = BatteryConfig(images=2000, batch=32)
TRUE, SHAPE = Member("true", 0), (1, 8, 8)


class Plane(Detector):
    """A logit with a known gradient: weights over pixels, bent so that its gradient varies from image to image."""

    def __init__(self, seed: int, scale: float = 1.0, offset: float = 0.0) -> None:
        super().__init__(resolution=8, channels=1, levels=17)
        weight = torch.randn(SHAPE, generator=rng(seed)) * scale
        self.weight, self.offset = torch.nn.Parameter(weight), offset

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images * self.weight).flatten(1).sum(1) + images.square().flatten(1).sum(1) + self.offset


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(n: int = 6, seed: int = 5) -> torch.Tensor:
    return torch.rand(n, *SHAPE, generator=rng(seed)) * 2 - 1


FOOL = Fool(1.0)


def control_of(true: Detector, shuffled: Calibrated, objective: Objective = FOOL) -> EqualNormOpponents:
    attack = FrozenOpponents({TRUE: true}, {TRUE: torch.randn(9, generator=rng(9))}, Pool("last", 1), objective)
    return EqualNormOpponents(attack, {TRUE: shuffled}, {TRUE: torch.randn(9, generator=rng(8))})


def norms(images: torch.Tensor) -> torch.Tensor:
    return images.flatten(1).norm(dim=1)


@pytest.mark.parametrize("objective", [Fool(0.7), Match(0.7)])
def test_the_norm_at_each_image_is_the_true_detectors_times_the_slope_at_the_controls_own_logit(objective):
    true, shuffled = Plane(1, 3.0), Calibrated(Plane(2, 0.01), 40.0, -3.0)
    images, loss = batch(), control_of(true, shuffled, objective)
    _, push = loss.of_member(TRUE, images)
    logits = (40.0 * shuffled.detector(images).detach() - 3.0).requires_grad_()
    (slopes,) = torch.autograd.grad(objective(logits, loss.real_logits[TRUE]), logits)
    expected = slopes.abs() * norms(logit_gradient(true, images)[1])
    torch.testing.assert_close(norms(push), expected, rtol=1e-5, atol=1e-7)


def test_an_equally_saturated_control_has_the_norm_of_the_attack():
    """The gradients of both losses have equal norms at each image whose logits are equal."""
    true, images = Plane(1, 3.0), batch()
    attack = control_of(true, Calibrated(Plane(2), 1.0, 0.0)).attack

    class Alike(Plane):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            own = super().forward(images)
            return own - own.detach() + true(images).detach()

    _, gradient = attack.pull(images, torch.zeros_like(images), rng())
    _, push = control_of(true, Calibrated(Alike(2), 1.0, 0.0)).of_member(TRUE, images)
    torch.testing.assert_close(norms(push), norms(gradient), rtol=1e-5, atol=1e-9)


def test_a_fooled_control_no_longer_pushes():
    images, true = batch(), Plane(1)
    _, push = control_of(true, Calibrated(Plane(2), 1.0, -200.0)).of_member(TRUE, images)
    assert float(push.abs().max()) < 1e-30
    _, early = control_of(true, Calibrated(Plane(2), 1.0, 200.0)).of_member(TRUE, images)
    assert float(norms(early).min()) > 0.1


def test_the_direction_does_not_depend_on_the_true_detector():
    """Neither another true detector nor one with the opposite labels turns the push."""
    images, shuffled = batch(), Calibrated(Plane(2), 1.0, 0.0)

    class Negated(Plane):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return -super().forward(images)

    pushes = [control_of(true, shuffled).of_member(TRUE, images)[1] for true in (Plane(1), Negated(1), Plane(7, 9.0))]
    directions = [push.flatten(1) / norms(push)[:, None] for push in pushes]
    torch.testing.assert_close(pushes[0], pushes[1])
    for direction in directions[1:]:
        torch.testing.assert_close(direction, directions[0], rtol=1e-5, atol=1e-6)


def test_the_pull_of_a_step_is_that_of_the_drawn_controls():
    fakes, opponents = batch(), control_of(Plane(1), Calibrated(Plane(2), 2.0, 1.0))
    found, of_member = opponents.pull(fakes, torch.zeros_like(fakes), rng()), opponents.of_member(TRUE, fakes)
    torch.testing.assert_close(found.loss, of_member.loss)
    torch.testing.assert_close(found.gradient, of_member.gradient)


def test_descending_the_loss_fools_the_control_and_then_stops():
    images, loss = batch(), control_of(Plane(1), Calibrated(Plane(2), 1.0, 0.0))
    _, first = loss.of_member(TRUE, images)
    for _ in range(60):
        images = images - loss.of_member(TRUE, images)[1]
    assert float(Plane(2)(images).detach().max()) < -3
    assert float(norms(loss.of_member(TRUE, images)[1]).max()) < float(norms(first).min()) / 10


def test_calibration_equals_the_mean_norm_and_the_mean_probability():
    images, true, shuffled = batch(50), Plane(1, 3.0, offset=2.0), Plane(2, 0.01)
    found = calibrated(shuffled, true, images)
    ours, theirs = (logit_gradient(one, images) for one in (shuffled, true))
    assert found.slope * float(norms(ours[1]).mean()) == pytest.approx(float(norms(theirs[1]).mean()), rel=1e-5)
    probability = torch.sigmoid(found.forward(ours[0])).mean()
    assert float(probability) == pytest.approx(float(torch.sigmoid(theirs[0]).mean()), abs=1e-5)


@given(reals=st.integers(1, 40), fakes=st.integers(1, 40), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_shuffled_labels_are_uncorrelated_with_the_true_ones(reals, fakes, seed):
    true = torch.tensor([0, 1]).repeat_interleave(torch.tensor([reals, fakes]))
    sample = Labelled(torch.arange(reals + fakes), true)
    found = with_shuffled_labels(sample, seed)
    assert torch.equal(found.which, sample.which)
    assert int(found.labels[true == 0].sum()) == reals // 2
    assert int(found.labels[true == 1].sum()) == fakes // 2


def test_shuffled_labels_depend_on_the_seed_and_not_on_which_class_is_called_fake():
    true = torch.tensor([0, 1]).repeat_interleave(torch.tensor([20, 20]))
    first, again, other = (with_shuffled_labels(Labelled(torch.arange(40), true), seed) for seed in (0, 0, 1))
    assert torch.equal(first.labels, again.labels)
    assert not torch.equal(first.labels, other.labels)


def test_a_detector_of_shuffled_labels_has_a_gradient_and_does_not_detect():
    """Fakes have less contrast than reals, which a detector of true labels learns."""
    images = torch.cat([torch.randint(k, 256 - k, (600, *SHAPE), generator=rng(k)) for k in (0, 40)]).byte()
    gallery, labels = Gallery(images, Evidence(levels=256)), (torch.arange(1200) >= 600).long()
    train, stop, test = (Labelled(torch.arange(k, 1200, 3), labels[k::3]) for k in range(3))
    aucs = []
    for learn, validate in ((train, stop), (with_shuffled_labels(train, 0), with_shuffled_labels(stop, 1))):
        detector = build("dct", levels=256)
        group = BatchGroup({"dct": detector}, learn, validate, 0)
        train_battery([group], gallery, settings=BATTERY, images=BATTERY.images, fresh=True, machine=CPU)
        logits = score_all({"dct": detector.eval()}, gallery, test.which)["dct"]
        aucs.append(auc(logits.numpy(), test.labels.numpy()))
    assert aucs[0] > 0.9
    assert 0.25 < aucs[1] < 0.75
    gradient = logit_gradient(detector, gallery.images(torch.arange(8)))[1]
    assert float(norms(gradient).min()) > 0
