from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError
from arena.generators.base import TrainableGenerator
from arena.generators.dcgan import DcganGenerator
from arena.generators.style import StyleGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import on_levels
from arena.training.ada import Augmentation
from arena.training.gan import DivergedError, GanTraining, decay, update_average
from arena.training.losses import GanLoss, Logistic, NonSaturating, Relativistic
from arena.training.machine import Machine, Precision
from arena.training.opponents.opponents import Opponents, Pull

pytestmark = pytest.mark.slow

REALS = (torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 16).round().mul(255 / 16).to(torch.uint8)


AUGMENTED = Augmentation(probability=0.3, target=0.1, images=200, interval=2)


def build(
    kind: Callable[..., TrainableGenerator] = StyleGenerator,
    loss: GanLoss | None = None,
    opponents: Opponents | None = None,
    seed: int = 1,
    augmentation: Augmentation | None = None,
) -> GanTraining:
    torch.manual_seed(0)
    generator = kind(resolution=8, channels=1, levels=17, width=8, z_dim=6)
    return GanTraining(
        generator=generator,
        discriminator=generator.discriminator(generator.resolution),
        loss=loss or Relativistic(ema_images=100, ema_ramp=0.5),
        evidence=Evidence(levels=17),
        reals=REALS,
        batch=4,
        seed=seed,
        opponents=opponents,
        augmentation=augmentation,
        log_every=2,
    )


def fit(training: GanTraining, start: int, stop: int, precision: Precision = "fp32") -> None:
    Machine(torch.device("cpu"), precision).fit(training, range(start, stop))


def weights(training: GanTraining) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in training.state_dict().items()}


def differing(a: dict[str, Tensor], b: dict[str, Tensor]) -> set[str]:
    return {name for name in a if not torch.equal(a[name], b[name])}


class Darker(Opponents):
    """An opponent with a constant pull on every pixel, which notes a number of the step's stream."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        self.seen.append(torch.rand((), generator=rng, device=fakes.device).item())
        assert torch.equal(fakes, on_levels(fakes, 17))
        assert own.shape == fakes.shape
        return Pull(100 * fakes.mean(), torch.full_like(fakes, 100 / fakes.numel()))


@pytest.mark.parametrize(
    ("kind", "loss", "augmentation"),
    [
        (StyleGenerator, Relativistic(), None),
        (StyleGenerator, Logistic(interval=2, path_length=2.0), AUGMENTED),
        (DcganGenerator, Relativistic(), AUGMENTED),
        (DcganGenerator, NonSaturating(), None),
    ],
)
def test_a_resumed_phase_equals_the_uninterrupted_one_to_the_bit(
    kind: type, loss: GanLoss, augmentation: Augmentation | None, tmp_path: Path
) -> None:
    whole = build(kind, loss, Darker(), augmentation=augmentation)
    fit(whole, 0, 7)
    if augmentation is not None:  # its state has changed, so the comparison below includes it
        assert whole.augmenter.probability != augmentation.probability

    first = build(kind, loss, Darker(), augmentation=augmentation)
    fit(first, 0, 3)
    first.save(tmp_path)
    second = build(kind, loss, Darker(), augmentation=augmentation)
    for parameter in [*second.generator.parameters(), *second.discriminator.parameters(), *second.ema.parameters()]:
        nn.init.normal_(parameter)
    second.load(tmp_path)
    assert (second.step, second.images_seen) == (3, 12)
    torch.rand(5)  # the global stream does not matter
    fit(second, 3, 7)

    assert not differing(weights(whole), weights(second))
    assert (second.step, second.images_seen) == (7, 28)
    whole.save(tmp_path / "whole")
    second.save(tmp_path / "second")
    for file in ("generator.safetensors", "gan.safetensors"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()


def test_a_new_phase_restarts_the_steps_and_continues_the_images(tmp_path: Path) -> None:
    first = build()
    fit(first, 0, 3)
    first.save(tmp_path)
    second = build(seed=2)
    second.load(tmp_path)
    second.step = 0
    assert (second.step, second.images_seen) == (0, 12)
    assert not differing(weights(first), weights(second))
    assert "reals" not in weights(second)
    fit(second, 0, 1)
    # Adam's moments carried over: its own count of steps is 4.
    assert {int(state["step"]) for state in second.trainer.optimizers[0].state_dict()["state"].values()} == {4}


@pytest.mark.parametrize("fitted", [False, True])
def test_a_loaded_state_replaces_all_others_and_is_saved_unchanged(fitted: bool, tmp_path: Path) -> None:
    first, second = build(), build()
    fit(first, 0, 2)
    first.save(tmp_path / "a")
    if fitted:
        fit(second, 0, 3)
    second.load(tmp_path / "a")
    second.save(tmp_path / "b")
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab")
    assert one == two
    assert set(one) == {"generator.safetensors", "gan.safetensors", "optimizers.safetensors", "counts.json"}
    assert not differing(weights(first), weights(second))


def test_a_saved_gan_of_another_network_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArenaError, match=r"gan\.safetensors: expected safetensors of this network"):
        build().load(tmp_path)
    build(DcganGenerator).save(tmp_path)
    with pytest.raises(ArenaError, match=r"gan\.safetensors: expected safetensors of this network"):
        build().load(tmp_path)


@pytest.mark.parametrize("loss", [Relativistic(), Logistic(interval=2)])
def test_reals_and_fakes_reach_the_discriminator_by_the_same_path(loss: GanLoss) -> None:
    training, shown = build(loss=loss), list[Tensor]()
    training.discriminator.register_forward_pre_hook(lambda _, given: shown.append(given[0].detach().clone()))
    fit(training, 0, 3)
    seen = torch.cat(shown)
    assert len(seen) >= 3 * 3 * 4
    assert torch.equal(seen, on_levels(seen, 17))
    known = {tuple(image.flatten().tolist()) for image in on_levels(REALS.float() / 127.5 - 1, 17)}
    real = [tuple(image.flatten().tolist()) in known for image in seen]
    assert any(real)
    assert not all(real)


def test_opponents_change_the_generator_alone() -> None:
    opponents = Darker()
    free, attacking = build(), build(opponents=opponents)
    fit(free, 0, 1)
    fit(attacking, 0, 1)
    moved = differing(weights(free), weights(attacking))
    assert {name.partition(".")[0] for name in moved} == {"generator", "ema"}
    # Its pull makes images darker.
    fit(attacking, 1, 16)
    assert len(set(opponents.seen)) == 16  # each step has its own random stream
    dark, light = (training.generator(torch.randn(16, 6)).mean() for training in (attacking, free))
    assert dark < light


def test_the_average_follows_and_stays_in_eval_mode_without_gradients() -> None:
    training = build(DcganGenerator)
    before = weights(training)
    fit(training, 0, 3)
    after = weights(training)
    assert not any(part.training for part in training.ema.modules())
    assert not any(parameter.requires_grad for parameter in training.ema.parameters())
    assert training.generator.training
    for name in before:
        if name.startswith("ema.layers.0"):
            assert not torch.equal(before[name], after[name])
            assert not torch.equal(after[name], after[name.replace("ema.", "generator.")])
    assert torch.equal(after["ema.layers.1.running_mean"], after["generator.layers.1.running_mean"])


def test_a_step_in_bf16_is_close_to_one_in_fp32() -> None:
    trained = [build() for _ in range(2)]
    before = weights(trained[0])
    fit(trained[0], 0, 1)
    fit(trained[1], 0, 1, "bf16")
    steps = [
        torch.cat([(after[n] - before[n]).flatten() for n in before if n.startswith("discriminator.")])
        for after in map(weights, trained)
    ]
    # Adam's first step is the sign of the gradient: most signs agree.
    assert (steps[0].sign() == steps[1].sign()).float().mean() > 0.9


def test_a_loss_that_is_not_finite_raises() -> None:
    training = build()
    nn.init.constant_(next(training.discriminator.parameters()), float("nan"))
    with pytest.raises(DivergedError, match="not finite by step 2"):
        fit(training, 0, 5)


def test_a_lowered_learning_rate_survives_a_resume(tmp_path: Path) -> None:
    first = build()
    fit(first, 0, 2)
    first.learning_rate = 1e-5
    first.save(tmp_path)
    second = build()
    second.load(tmp_path)
    fit(second, 2, 3)
    assert [group["lr"] for optimizer in second.trainer.optimizers for group in optimizer.param_groups] == [1e-5, 1e-5]


# Moving average.


def test_the_half_life_ramps_up_with_the_images_seen() -> None:
    # After half_life images the average keeps half. A young one follows at 5% of the images seen.
    assert decay(64, 10**9, half_life=6400, ramp=0.05) ** 100 == pytest.approx(0.5)
    assert decay(64, 12_800, half_life=6400, ramp=0.05) == pytest.approx(0.5 ** (64 / 640))
    assert decay(64, 64, half_life=6400, ramp=0.05) == pytest.approx(0.5**20)


def test_the_average_is_a_geometric_sum() -> None:
    module, average = nn.Linear(3, 2), nn.Linear(3, 2)
    average.load_state_dict(module.state_dict())
    start = module.weight.detach().clone()
    values = torch.randn(5, *start.shape)
    for value in values:
        module.weight.data.copy_(value)
        update_average(average, module, 0.7)
    expected = 0.7**5 * start + sum(0.3 * 0.7 ** (4 - k) * value for k, value in enumerate(values))
    torch.testing.assert_close(average.weight.data, expected)


def test_the_average_copies_buffers() -> None:
    module, average = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    module(torch.randn(4, 2, 8, 8))
    update_average(average, module, 0.9)
    for averaged, current in zip(average.buffers(), module.buffers(), strict=True):
        assert torch.equal(averaged, current)
        assert averaged.data_ptr() != current.data_ptr()
