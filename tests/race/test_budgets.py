"""No training shows more images than its budget allows, whatever goes wrong on the way."""

import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.progress import Progress
from arena.race.gan_monitor import GanMonitor, train_gan
from arena.race.phases.detectors import retrain
from arena.race.phases.fakes import forge
from arena.race.phases.generator import respond, warm_up
from arena.race.race import Race
from arena.records.schema import Gradients, PhaseRecord, Spent, TrainingRecord
from arena.records.store import read_records
from arena.training.gan import GanTraining
from arena.training.meter import Meter
from arena.training.opponents.opponents import Opponents, Pull
from tests.building import carry_out_phases, tiny_arena

pytestmark = pytest.mark.slow


class Killed(BaseException):
    """A kill. Nothing in the project catches it."""


class Scripted(Opponents):
    """Opponents of which each call costs 3 queries. Their pull is not finite at some steps of the phase."""

    def __init__(self, poisoned: set[int]) -> None:
        self.poisoned = poisoned

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        self.meter.add(queries=3)
        self.meter.gradient("cnn", torch.zeros_like(fakes))
        broken = self.meter.spent.generator_updates in self.poisoned
        value = torch.tensor(float("nan") if broken else 0.0)
        return Pull(value, value * torch.ones_like(fakes))


def train(race: Race, images: int, poisoned: set[int]) -> tuple[list[TrainingRecord], Meter]:
    race.run.mkdir(parents=True, exist_ok=True)
    target = race.run / "trained"
    places = {"partial": race.run / "partial", "target": target, "progress": Progress()}
    return train_gan(race, images, opponents=Scripted(poisoned), **places), Meter.load(target)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.sampled_from([4, 7]),
    images=st.integers(8, 60),
    interval=st.integers(8, 40),
    poisoned=st.sets(st.integers(0, 14), max_size=2),
    kill=st.none() | st.integers(0, 5),
)
def test_images_shown_never_exceed_the_budget(batch: int, images: int, interval: int, poisoned: set[int], kill):
    """For any batch and interval, across divergence, roll-back, a kill and a resumption."""
    keys = (f"schedule.batch={batch}", f"schedule.response_images={images}", f"schedule.evaluate_images={interval}")
    measured, shown = GanMonitor.__call__, 0
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        race, looks = tiny_arena(Path(folder) / "run", *keys), 0

        def look(self: GanMonitor, gan: GanTraining, before: list[TrainingRecord]) -> TrainingRecord:
            nonlocal looks
            looks += 1
            if looks - 1 == kill:
                raise Killed
            return measured(self, gan, before)

        patched.setattr(GanMonitor, "__call__", look)
        try:
            curve, meter = train(race, images, poisoned)
        except Killed:
            curve, meter = train(race, images, poisoned)
        except ArenaError:  # the last chance is gone
            assert Meter.load(race.run / "partial").spent.generator_updates * batch <= images
            return
        shown = meter.spent.generator_updates * batch
    budget = race.schedule.shown(images)
    assert curve[-1].images == curve[-1].images_seen == budget <= images
    assert shown <= budget
    if not any(record.fault for record in curve):
        assert shown == budget
    assert meter.spent.discriminator_updates == meter.spent.generator_updates
    # A step that failed was paid for, though it updated nothing.
    assert meter.spent.queries >= 3 * meter.spent.generator_updates


def test_a_roll_back_gives_nothing_back_and_a_resumption_counts_nothing_twice(run: Path, monkeypatch):
    keys, images = ("schedule.batch=8", "schedule.evaluate_images=24"), 96
    whole = train(tiny_arena(run, *keys), images, {5})
    assert "divergence" in (whole[0][1].fault or "")
    measured = GanMonitor.__call__

    def killed(self: GanMonitor, gan: GanTraining, before: list[TrainingRecord]) -> TrainingRecord:
        if gan.step == 9:
            raise Killed
        return measured(self, gan, before)

    other = tiny_arena(run.with_name("other"), *keys)
    with monkeypatch.context() as patched:
        patched.setattr(GanMonitor, "__call__", killed)
        with pytest.raises(Killed):
            train(other, images, {5})
    resumed = train(other, images, {5})
    assert resumed[1].spent == whole[1].spent
    assert resumed[1].gradients == whole[1].gradients
    steps = whole[1].spent.queries // 3
    assert steps == 12  # every step of the budget, those that were rolled back included
    assert whole[1].gradients["cnn"] == Gradients(fakes=8 * steps, zero=8 * steps, not_finite=0)
    assert whole[1].spent.multiply_accumulates > 0


def test_every_side_has_its_costs_on_record(finished: Race):
    spent: dict[str, Spent] = {}
    for record in read_records(finished.run):
        if isinstance(record, PhaseRecord):
            spent[record.phase] = spent.get(record.phase, Spent()) + record
    batch = finished.schedule.batch
    assert spent["warm_up"].generator_updates == finished.schedule.warm_up_images // batch
    assert spent["respond"].generator_updates == finished.rounds * (finished.schedule.response_images // batch)
    assert spent["respond"].discriminator_updates == spent["respond"].generator_updates
    for phase in ("warm_up", "respond", "retrain", "judge", "calibrate"):
        assert spent[phase].multiply_accumulates > 0
    assert all(spent[phase].detector_updates > 0 for phase in ("retrain", "judge", "calibrate"))
    assert all(spent[phase] == Spent() for phase in ("forge", "confront", "measure"))


def test_steps_of_live_opponents_and_of_their_head_start_are_counted(run: Path):
    """Of each technique two detectors learn in the head start, and one in every step."""
    live = ("pool=live", "pool.head_start=5", "pool.sample=9", "access=everything", "race.rounds=1")
    race = tiny_arena(run, *live)
    phases = (warm_up, forge, retrain, respond)
    carry_out_phases(race, *((phase, 0, "") for phase in phases))
    closed = [record for record in read_records(run) if isinstance(record, PhaseRecord)][-1]
    steps = race.schedule.response_images // race.schedule.batch
    assert closed.detector_updates == len(race.attacked) * (2 * 5 + steps)
