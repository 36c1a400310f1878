import pytest
import yaml

from arena import __version__
from arena.config.saved import canonical, flatten, members, read_config
from arena.core.errors import ArenaError

NOW = {"environment": {"arena_version": __version__}}


def written(run, config):
    run.mkdir()
    (run / "config.yaml").write_text(config if isinstance(config, str) else yaml.safe_dump(config))
    return run


def test_a_config_comes_back(run):
    config = NOW | {"seed": 3, "race": {"rounds": 4}}
    assert read_config(written(run, config)) == config


@pytest.mark.parametrize(
    ("environment", "version"),
    [
        ({"packages": {"arena-race": "0.1.0"}}, "0.1.0"),
        ({"arena_version": "0.1.7"}, "0.1.7"),
        ({"arena_version": "9.0.0"}, "9.0.0"),
        ({"python": "3.11"}, "of an unknown version"),
        (None, "of an unknown version"),
    ],
)
def test_a_run_of_another_version_is_refused_in_one_line(run, environment, version):
    with pytest.raises(ArenaError) as error:
        read_config(written(run, {"seed": 0, "environment": environment}))
    assert str(error.value) == (
        f"{run}: written by arena {version}, but this is arena {__version__}: race again, or read it with that version"
    )


@pytest.mark.parametrize(
    ("text", "problem"), [("a: [", "no YAML"), ("- 1", "expected the resolved config"), (b"\xff".decode("latin1"), "")]
)
def test_a_file_that_is_no_config_is_named(run, text, problem):
    with pytest.raises(ArenaError, match=rf"config\.yaml: .*{problem}"):
        read_config(written(run, text))


def test_a_folder_without_a_config_is_no_run(tmp_path):
    with pytest.raises(ArenaError, match=r"expected the directory of a run, with a config\.yaml in it"):
        read_config(tmp_path)


def test_seeds_places_and_machine_do_not_part_the_runs_of_a_condition():
    def config(**changed):
        same = {"race": {"rounds": 1, "from": None}, "data": {"n": 9, "seed": 0}, "access": {"name": "none"}, "seed": 0}
        return same | changed

    one = canonical(config(run_dir="runs/0", environment={"device": "cpu"}))
    assert one == canonical(config(seed=1, data={"n": 9, "seed": 1}, race={"rounds": 1, "from": "runs/0"}))
    assert one != canonical(config(data={"n": 8, "seed": 0}))
    other_reals = config(access={"name": "other_reals"})
    assert one != canonical(other_reals)
    assert canonical(config(), drop=("access",)) == canonical(other_reals, drop=("access",))


def test_members_that_were_left_out_are_none():
    config = {"battery": {"members": {"cnn": {}, "npr": {}}}, "left_out": {"npr": "needs 3 channels"}}
    assert members(config) == ["cnn"]
    with pytest.raises(ArenaError, match="battery=None: missing"):
        members({})
    assert dict(flatten(config["battery"] | {"images": 9}))["images"] == 9
