"""A monitored GAN training: a fault is found within an interval, rolled back, and ends the phase at the third time."""

import json
from collections.abc import Callable, Collection
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.machine import on_threads
from arena.core.progress import Progress
from arena.race.gan_monitor import GanMonitor, train_gan
from arena.race.race import Race
from arena.records.schema import TrainingRecord
from arena.training.gan import GanTraining
from arena.training.opponents.opponents import Opponents, Pull
from tests.building import tiny_arena

pytestmark = pytest.mark.slow

INTERVAL, BATCH = 64, 16
STEPS = INTERVAL // BATCH
KEYS = (f"schedule.evaluate_images={INTERVAL}", f"schedule.batch={BATCH}")


class Poison(Opponents):
    """Opponents whose pull is NaN at some steps."""

    def __init__(self, at: Collection[int]) -> None:
        self.at, self.calls = at, 0

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        value = torch.tensor(float("nan") if self.calls in self.at else 0.0)
        self.calls += 1
        return Pull(value, value * torch.ones_like(fakes))


def train(race: Race, intervals: int, opponents: Poison | None = None) -> tuple[list[TrainingRecord], Path]:
    race.run.mkdir(parents=True, exist_ok=True)
    target = race.run / "trained"
    curve = train_gan(
        race,
        intervals * INTERVAL,
        partial=race.run / "partial",
        target=target,
        progress=Progress(),
        opponents=opponents,
    )
    return curve, target


def state(folder: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    counts = json.loads((folder / "counts.json").read_text())
    return load_file(folder / "gan.safetensors"), counts


def collapse_at(monkeypatch: pytest.MonkeyPatch, at: Collection[int]) -> None:
    """Replace the fakes by the training reals, at some intervals by copies of one image."""
    looks = iter(range(1000))

    def fakes(self: GanMonitor, gan: GanTraining) -> Tensor:
        images = self.race.generator_reals.images[: self.n]
        return images[:1].expand_as(images).clone() if next(looks) in at else images

    monkeypatch.setattr(GanMonitor, "fakes", fakes)


def test_the_number_of_threads_does_not_change_a_tiny_generator(run: Path):
    states = []
    for threads in (1, 2):
        with on_threads(threads):
            _, target = train(tiny_arena(run / str(threads), *KEYS), 2)
        states.append(state(target)[0])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_sound_training_is_measured_after_each_interval_and_never_rolled_back(run: Path):
    curve, target = train(tiny_arena(run, *KEYS), 3)
    assert [record.images_seen for record in curve] == [64, 128, 192]
    assert all(record.fault is None and record.kernel_distance is not None for record in curve)
    assert {record.learning_rate for record in curve} == {0.01}
    assert state(target)[1] == {"step": 3 * STEPS, "images_seen": 192, "learning_rate": 0.01}


@pytest.mark.parametrize("kind", ["divergence", "collapse"])
def test_a_fault_is_rolled_back_with_half_the_learning_rate_and_its_images_spent(
    run: Path, monkeypatch: pytest.MonkeyPatch, kind: str
):
    opponents = Poison(range(STEPS, STEPS + 1) if kind == "divergence" else ())
    if kind == "collapse":
        collapse_at(monkeypatch, {1})
    curve, target = train(tiny_arena(run, *KEYS), 3, opponents)
    assert [record.fault.split(":")[0] if record.fault else None for record in curve] == [None, kind, None]
    assert [record.learning_rate for record in curve] == [0.01, 0.01, 0.005]
    weights, counts = state(target)
    assert counts == {"step": 3 * STEPS, "images_seen": 192, "learning_rate": 0.005}
    assert all(value.isfinite().all() for value in weights.values())


def test_a_fault_in_the_last_interval_leaves_the_state_before_it(run: Path):
    race = tiny_arena(run, *KEYS)
    _, target = train(race, 2, Poison({STEPS}))
    short = tiny_arena(run.with_name("short"), *KEYS)
    _, sound = train(short, 1, Poison(()))
    a, b = state(target), state(sound)
    assert all(torch.equal(value, b[0][name]) for name, value in a[0].items())
    assert (a[1]["images_seen"], b[1]["images_seen"]) == (128, 64)


def test_the_third_fault_ends_the_phase_and_keeps_the_last_sound_state(run: Path):
    race = tiny_arena(run, *KEYS)
    with pytest.raises(ArenaError, match=r"generator.learning_rate=0.01: .* went wrong 3 times .*not finite") as error:
        train(race, 5, Poison(range(STEPS, 5 * STEPS)))
    assert "\n" not in str(error.value)
    weights, _ = state(race.run / "partial")
    assert all(value.isfinite().all() for value in weights.values())


def test_a_training_killed_after_a_fault_resumes_to_the_same_state(run: Path, monkeypatch: pytest.MonkeyPatch):
    whole, target = train(tiny_arena(run, *KEYS), 4, Poison({STEPS}))

    class Killed(BaseException):
        pass

    other = tiny_arena(run.with_name("other"), *KEYS)
    look: Callable[[GanMonitor, GanTraining, list[TrainingRecord]], TrainingRecord] = GanMonitor.__call__

    def killed(self: GanMonitor, gan: GanTraining, before: list[TrainingRecord]) -> TrainingRecord:
        if gan.step > 3 * STEPS:
            raise Killed
        return look(self, gan, before)

    with monkeypatch.context() as patched:
        patched.setattr(GanMonitor, "__call__", killed)
        with pytest.raises(Killed):
            train(other, 4, Poison({STEPS}))
    resumed, again = train(other, 4, Poison(()))
    assert resumed == whole
    (weights, counts), (others, theirs) = state(target), state(again)
    assert counts == theirs
    assert all(torch.equal(value, others[name]) for name, value in weights.items())


def test_low_variety_from_the_start_is_no_collapse(run: Path, monkeypatch: pytest.MonkeyPatch):
    collapse_at(monkeypatch, {0, 1, 2})
    curve, _ = train(tiny_arena(run, *KEYS), 3)
    assert [record.fault for record in curve] == [None] * 3
