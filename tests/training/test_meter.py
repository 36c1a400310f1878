"""Costs of training: closed forms, torch's own counter as a reference, and training that does not notice."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from arena.config.schema import BatteryConfig
from arena.core.machine import on_threads
from arena.detectors.gallery import Gallery, Labelled
from arena.generators.base import TrainableGenerator
from arena.generators.dcgan import DcganGenerator
from arena.generators.style import StyleGenerator
from arena.records.schema import Gradients, Spent
from arena.training.ada import Augmentation
from arena.training.battery import BatchGroup, train_battery
from arena.training.gan import GanTraining
from arena.training.losses import GanLoss, Logistic, Relativistic
from arena.training.meter import Meter, MultiplyAccumulates
from arena.training.objectives import Fool
from arena.training.opponents.frozen import FrozenOpponents, Member, Pool
from arena.training.opponents.opponents import Opponents
from tests.detectors.planted import CPU, EVIDENCE, build
from tests.training.test_gan import build as build_gan
from tests.training.test_gan import fit


def test_a_convolution_costs_its_closed_form_forward_and_twice_that_backward():
    """Each of N x O x H x W outputs takes C x 3 x 3 products. Gradients of weights and of images take as many each."""
    conv, images = nn.Conv2d(2, 5, 3, padding=1), torch.rand(4, 2, 8, 8, requires_grad=True)
    forward = 4 * 5 * 8 * 8 * 2 * 9
    with MultiplyAccumulates() as counted:
        out = conv(images)
    assert counted.total == forward
    with MultiplyAccumulates() as counted:
        out.sum().backward()
    assert counted.total == 2 * forward


def test_a_network_costs_half_of_the_operations_that_torch_counts():
    torch.manual_seed(0)
    generator = DcganGenerator(resolution=8, channels=1, levels=17, width=8, z_dim=6)
    z = torch.rand(4, 6)
    with FlopCounterMode(display=False) as counter, MultiplyAccumulates() as counted:
        generator.draw(z, torch.Generator()).square().sum().backward()
    assert 2 * counted.total == counter.get_total_flops() > 0


def test_a_second_derivative_counts():
    linear, images = nn.Linear(7, 3), torch.rand(5, 7, requires_grad=True)
    with MultiplyAccumulates() as counted:
        (gradient,) = torch.autograd.grad(linear(images).square().sum(), images, create_graph=True)
    first = counted.total
    with MultiplyAccumulates() as counted:
        gradient.square().sum().backward()
    assert first == 2 * 5 * 7 * 3
    assert counted.total > first


def test_work_of_a_kind_is_counted_as_often_as_it_is_done():
    meter, weights = Meter(), torch.rand(6, 6)
    for _ in range(3):
        with meter.work("square"):
            torch.mm(weights, weights)
    meter.price("square", lambda: weights @ weights)
    meter.price("cube", lambda: weights @ weights @ weights)
    assert meter.spent == Spent(multiply_accumulates=(4 + 2) * 6**3)


def test_work_that_fails_is_not_counted():
    meter = Meter()

    @meter.work("failing")
    def work() -> None:
        torch.mm(torch.rand(3, 3), torch.rand(3, 3))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert meter.spent == Spent()


def test_gradients_are_counted_by_image(tmp_path: Path):
    gradient = torch.ones(5, 1, 2, 2)
    gradient[0], gradient[1, 0, 0, 0] = 0.0, 0.0
    gradient[2, 0, 1, 1], gradient[3, 0, 1, 0] = torch.nan, -torch.inf
    meter = Meter()
    for _ in range(2):
        meter.gradient("cnn", gradient)
    meter.gradient("dct", torch.zeros(3, 1, 2, 2))
    expected = {
        "cnn": Gradients(fakes=10, zero=2, not_finite=4),
        "dct": Gradients(fakes=3, zero=3, not_finite=0),
    }
    assert meter.gradients == expected
    meter.add(queries=7)
    meter.save(tmp_path)
    again = Meter.load(tmp_path)
    assert (again.spent, again.gradients) == (Spent(queries=7), expected)
    again.gradient("dct", torch.ones(2, 1, 2, 2))
    assert again.gradients["dct"] == Gradients(fakes=5, zero=3, not_finite=0)


def frozen() -> FrozenOpponents:
    """Two techniques, each with two detectors, of which a step draws one technique."""
    members = [Member(name, r) for name in ("cnn", "dct") for r in (0, 1)]
    detectors = {member: build(member.technique, seed=k) for k, member in enumerate(members)}
    return FrozenOpponents(detectors, dict.fromkeys(members, torch.randn(9)), Pool("all", 1), Fool(1.0))


CASES = [
    (StyleGenerator, Logistic(interval=3, path_length=2.0, path_length_interval=2), Augmentation(probability=0.3)),
    (DcganGenerator, Relativistic(), None),
]


def gan(kind: Callable[..., TrainableGenerator], loss: GanLoss, augmentation: Augmentation | None) -> GanTraining:
    return build_gan(kind, loss, frozen(), augmentation=augmentation)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "loss", "augmentation"), CASES)
def test_counting_changes_no_bit_of_training(kind, loss, augmentation, monkeypatch: pytest.MonkeyPatch):
    after = []
    counted, alone = (gan(kind, loss, augmentation) for _ in range(2))
    for training in (counted, alone):
        torch.manual_seed(3)
        fit(training, 0, 7)
        after.append(torch.rand(3))
        monkeypatch.setattr(Meter, "work", lambda *_: nullcontext())
        monkeypatch.setattr(Meter, "price", lambda *_: None)
    assert torch.equal(*after)
    assert counted.meter.spent.multiply_accumulates > alone.meter.spent.multiply_accumulates == 0
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in counted.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "loss", "augmentation"), CASES)
def test_the_sum_over_kinds_is_what_all_steps_cost(kind, loss, augmentation):
    """The reference counts every step. What is done only to count or to look at gradients is left out."""
    training, reference = gan(kind, loss, augmentation), gan(kind, loss, augmentation)
    fit(training, 0, 7)
    opponents = reference.opponents
    assert isinstance(opponents, Opponents)
    opponents.meter.add(generator_updates=1)  # it does not look at gradients in these steps
    for k in range(2):
        opponents.meter.price(f"{'cnn' if k else 'dct'} pulls", lambda: None)  # known, so nothing is done to count
    with MultiplyAccumulates() as counted:
        fit(reference, 0, 7)
    assert training.meter.spent.multiply_accumulates == counted.total
    assert (training.meter.spent.generator_updates, training.meter.spent.discriminator_updates) == (7, 7)


@pytest.mark.slow
def test_a_battery_costs_the_same_on_any_number_of_threads_and_in_proportion_to_its_groups():
    images, labels, found = torch.randint(256, (60, 1, 8, 8), dtype=torch.uint8), torch.arange(60) % 2, []
    gallery, settings = Gallery(images, EVIDENCE), BatteryConfig(images=64, batch=16)
    learn, stop = (Labelled(torch.arange(60)[part], labels[part]) for part in (slice(40), slice(40, 60)))
    for threads, count in ((1, 1), (2, 1), (2, 2)):
        groups = [BatchGroup({name: build(name) for name in ("cnn", "dct")}, learn, stop, k) for k in range(count)]
        meter = Meter()
        with on_threads(threads):
            train_battery(groups, gallery, settings=settings, images=64, fresh=True, machine=CPU, meter=meter)
        found.append(meter.spent)
    assert found[0] == found[1]
    assert found[0] + found[0] == found[2]
    assert (found[0].detector_updates, found[0].generator_updates) == (2 * 4, 0)
    assert found[0].multiply_accumulates > 0
