"""Impossible values end before anything is built, and name their key."""

import functools

import pytest
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from arena.config.compose import compose_config, explanation
from arena.config.schema import ArenaConfig
from arena.core.errors import ArenaError


@functools.cache
def composed(*overrides: str) -> DictConfig:
    return compose_config(["run_dir=run", "cache_dir=cache", *overrides])


def config(*values: str) -> ArenaConfig:
    """The default race with these values: composed once, as Hydra takes its time, and then merged as it merges."""
    found = OmegaConf.to_object(OmegaConf.merge(composed(), OmegaConf.from_dotlist(list(values))))
    assert isinstance(found, ArenaConfig)
    return found


# Overrides that contradict each other, or have no declared bound: the key of the complaint.
IMPOSSIBLE = [
    (["race.rounds=-1"], "race.rounds=-1"),
    (["race.rounds=many"], "race.rounds=many"),
    (["race.from=3"], "race.from=3"),
    (["schedule.warm_up_images=3"], "schedule.warm_up_images=3"),
    (["schedule.response_images=0"], "schedule.response_images=0"),
    (["schedule.evaluate_images=1"], "schedule.evaluate_images=1"),
    (["bank.test=64", "bank.cell=65"], "bank.cell=65"),
    (["battery.images=10"], "battery.images=10"),
    (["judge.images=640", "battery.images=641"], "judge.images=640"),
    (["judge.degradations=[blur,blur]"], "judge.degradations="),
    (["judge.degradations=[fog]"], "judge.degradations="),
    (["judge.multiples=[1]"], "judge.multiples="),
    (["judge.multiples=[4,2]"], "judge.multiples="),
    (["trainer.precision=fp8"], "trainer.precision=fp8"),
    (["seed=-1"], "seed=-1"),
]


@pytest.mark.parametrize(("overrides", "key"), IMPOSSIBLE, ids=str)
def test_an_impossible_value_names_its_key_and_ends_with_2(overrides, key):
    with pytest.raises(ArenaError) as error:
        config(*overrides)
    assert ": expected" in str(error.value)
    printed = explanation(error.value, overrides)
    assert printed.startswith(key)
    assert "\n" not in printed


# A mistyped key, or a value of another type, at every depth: of the schema, of its groups, and of the parts.
MISTYPED = [
    "race.rouns=1",
    "judge.sedes=3",
    "sede=1",
    "generator.widht=8",
    "battery.members.cnn.widht=8",
    "access.heldout=[cnn]",
    "evidence.jepg=90",
    "race.form=runs/0",
    "pool=everyone",
]


@pytest.mark.parametrize("override", MISTYPED)
def test_a_mistyped_key_is_one_line_that_names_it(override):
    with pytest.raises(HydraException) as error:
        composed(override)
    printed = explanation(error.value, [override])
    assert override.partition("=")[0] in printed
    assert "\n" not in printed


def test_the_cause_is_found_at_any_depth():
    outer = RuntimeError("Error instantiating")
    outer.__cause__ = ValueError("wrapped")
    outer.__cause__.__cause__ = ArenaError("pool.sample=0: expected\n at least 1")
    assert explanation(outer, []) == "pool.sample=0: expected at least 1"


def test_values_at_the_edge_are_possible():
    found = config("race.rounds=0", "battery.replay=0", "judge.images=640", "battery.images=640", "answer.margin=0.49")
    assert found.race.rounds == 0
    assert found.judge.images == found.battery.images == 640


def test_a_battery_of_nothing_is_no_race():
    empty = composed(
        "~battery.members.cnn", "~battery.members.dct", "~battery.members.spectrum", "~battery.members.forest"
    )
    with pytest.raises(ArenaError, match=r"battery.members=\{\}: expected at least one technique"):
        OmegaConf.to_object(empty)


def test_an_experiment_changes_what_it_says():
    smoke, default = (OmegaConf.to_object(composed(f"experiment={name}")) for name in ("smoke", "default"))
    assert isinstance(smoke, ArenaConfig)
    assert isinstance(default, ArenaConfig)
    assert type(smoke.battery).__name__ == "BatteryConfig"
    assert smoke.race.rounds == 1 < default.race.rounds == 4
    assert smoke.battery.images <= smoke.judge.images < default.judge.images
    assert smoke.judge.seeds == default.judge.seeds
