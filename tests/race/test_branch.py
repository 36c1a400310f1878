"""A race that starts from the last round of another run (``race.from``)."""

from pathlib import Path

import pytest
import torch
import yaml
from rich.console import Console
from safetensors.torch import load_file

from arena.answer.conditions import conditions
from arena.answer.runs import declared, declared_hash, read_run
from arena.core.errors import ArenaError
from arena.generators.base import TrainableGenerator
from arena.race.checkpoints import load_bank
from arena.race.gan_monitor import new_gan
from arena.race.loop import carry_out
from arena.race.race import Race
from arena.records.schema import PhaseRecord
from arena.records.store import read_records
from tests.building import tiny_arena

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def branch(finished: Race, tmp_path_factory: pytest.TempPathFactory) -> Race:
    race = tiny_arena(tmp_path_factory.mktemp("branch") / "run", f"race.from={finished.run}", "race.rounds=0")
    carry_out(race, Console(quiet=True))
    return race


def test_its_first_generator_is_the_last_of_its_origin(finished: Race, branch: Race):
    ours, theirs = (load_file(folder / "gan.safetensors") for folder in (branch.layout.gan(0), finished.layout.gan(2)))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert torch.equal(load_bank(branch, 0).test, load_bank(finished, 2).test)
    (warm_up,) = [
        record for record in read_records(branch.run) if isinstance(record, PhaseRecord) and record.phase == "warm_up"
    ]
    assert warm_up.images == 0


def test_its_detectors_start_from_those_of_its_origin(finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch):
    begun = []

    def train_battery(groups, *_, fresh: bool, **__) -> int:
        (group,) = groups
        begun.append((fresh, {name: dict(detector.state_dict()) for name, detector in group.detectors.items()}))
        raise KeyboardInterrupt

    monkeypatch.setattr("arena.race.phases.detectors.train_battery", train_battery)
    race = tiny_arena(run, f"race.from={finished.run}", "race.rounds=1")
    with pytest.raises(KeyboardInterrupt):
        carry_out(race, Console(quiet=True))
    ((fresh, battery),) = begun
    assert not fresh
    assert set(battery) == set(race.members)
    for technique, weights in battery.items():
        theirs = load_file(finished.layout.detector(2, technique))
        assert all(torch.equal(value, theirs[name]) for name, value in weights.items())


def test_augmentation_is_that_of_the_branch(finished: Race, run: Path):
    """The saved state of the origin, which had no augmentation, does not replace it."""
    race = tiny_arena(run, f"race.from={finished.run}", "race.rounds=1", "augmentation=fixed")
    assert race.branch is not None
    generator = race.new_generator()
    assert isinstance(generator, TrainableGenerator)
    gan = new_gan(race, generator, seed=0)
    gan.load(race.branch.gan)
    assert gan.augmenter.probability == race.augmentation.probability > 0


def test_detectors_trained_on_other_reals_are_not_taken(finished: Race, run: Path):
    other_reals = tiny_arena(run, f"race.from={finished.run}", "access=other_reals")
    assert other_reals.branch is not None
    technique = next(iter(other_reals.members))
    assert other_reals.branch.detector(technique, other_reals.access.reals) is None
    assert other_reals.branch.detector(technique, "detector") is not None


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("data.seed=1", "data.seed=1"),
        ("evidence.levels=9", "evidence.levels=9"),
        ("generator.z_dim=9", "generator.z_dim=9"),
    ],
)
def test_a_setting_that_must_be_shared_is_named(finished: Race, run: Path, override: str, named: str):
    with pytest.raises(ArenaError, match=f"race.from={finished.run}: expected a run with {named}, found"):
        tiny_arena(run, f"race.from={finished.run}", override)


def test_it_names_what_its_generator_has_attacked(finished: Race, branch: Race, run: Path):
    """Through any number of branches, and whatever the branch itself attacks."""
    assert finished.attacked
    further = tiny_arena(run, f"race.from={branch.run}", "race.rounds=0", "access=none")
    for race in (branch, further):
        assert sorted(yaml.safe_load((race.run / "config.yaml").read_text())["start_attacked"]) == finished.attacked


def test_a_missing_run_is_refused(run: Path):
    with pytest.raises(ArenaError, match="expected the directory of a run"):
        tiny_arena(run, f"race.from={run.parent / 'nothing'}")


def test_branches_of_one_condition_from_different_places_are_one_condition(branch: Race, run: Path, finished: Race):
    config = (branch.run / "config.yaml").read_text()
    run.mkdir()
    for path in branch.run.iterdir():
        if path.name not in ("config.yaml", "checkpoints"):
            (run / path.name).symlink_to(path)
    hashed = yaml.safe_load(config)["declared"]
    moved = config.replace(f"from: {finished.run}", "from: elsewhere").replace("\nseed: 0", "\nseed: 1")
    assert moved.count("elsewhere") == 1
    (run / "config.yaml").write_text(moved.replace(hashed, declared_hash(declared(yaml.safe_load(moved)))))
    (found,) = conditions([read_run(branch.run), read_run(run)])
    assert len(found.runs) == 2
    assert "start" not in found.name
