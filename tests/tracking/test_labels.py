"""How races are set side by side on W&B: from what the command line composes."""

from pathlib import Path

from hydra import compose, initialize_config_dir

from arena.cli.race import tracking_labels
from arena.config.compose import CONF
from arena.config.schema import register


def hydra(*overrides):
    register()
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        return compose("config", ["run_dir=runs/one", "cache_dir=cache", *overrides], return_hydra_config=True).hydra


def test_a_race_is_grouped_by_its_experiment_and_tagged_by_its_options():
    found = tracking_labels(hydra("experiment=smoke", "access=placebo", "data=portraits"), Path("runs/one"), "placebo")
    assert (found.name, found.group, found.job_type) == ("one", "smoke", "placebo")
    assert found.tags == [
        *("access=placebo", "data=portraits", "generator=style", "battery=tiny", "objective=fool", "pool=all")
    ]


def test_the_races_of_a_sweep_are_a_group_and_named_apart():
    member = hydra("access=none", "seed=2", "logger=online", "hydra.job.num=5")
    found = tracking_labels(member, Path("runs/default/monday-sweep/5"), "none")
    assert found.name == "5 access=none seed=2"
    assert found.group == "default/monday-sweep"
