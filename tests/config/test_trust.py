"""A run directory is data: no code that its config names is called before it was allowed by name."""

import sys
from pathlib import Path

import pytest
import yaml

from arena import __version__
from arena.cli.main import main
from arena.config.compose import compose_config
from arena.config.trust import allow_code, code_of, config_node, own_parts, read_own_config, take_flag
from arena.core.errors import ArenaError
from arena.generators.controls import Oracle
from tests.building import arena

VARIABLE = "ARENA_ALLOW_CODE"
CALLED = "import pathlib\npathlib.Path(__file__).with_name('called').touch()\ndef network(**_):\n    raise ValueError\n"
"""A module that leaves a file behind as soon as it is imported."""
OWN_DETECTOR = {"_target_": "arena.detectors.techniques.dct.DctDetector", "_partial_": True}


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "")


def a_run(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump({"environment": {"arena_version": __version__}, **config})
    (folder / "config.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"generator": {"_target_": "os.system", "command": "true"}},
        {"generator": {"_target_": "arena.core.files.os.system", "command": "true"}},
        {"battery": {"members": {"cnn": {"_target_": "builtins.exec"}}}},
        {"generator": {"_target_": "arena.generators.controls.Oracle", "z": [{"_target_": "os.getcwd"}]}},
        {"generator": {"_target_": "arena.generators.module.module_generator", "name": "package.Net"}},
        {"battery": {"members": {"x": {"_target_": "arena.detectors.module.module_detector", "path": "net.pt"}}}},
        {"data": {"path": "${oc.env:HOME}"}},
    ],
    ids=["class", "through-arena", "builtin", "nested", "generator-by-name", "detector-by-file", "interpolation"],
)
def test_code_from_outside_is_named_and_refused(tmp_path: Path, config: dict[str, object]):
    ((key, name),) = code_of(config)
    with pytest.raises(ArenaError, match="code from outside of arena") as refusal:
        read_own_config(a_run(tmp_path / "run", **config))
    assert f"{key}={name} is" in str(refusal.value)
    assert "--allow-code" in str(refusal.value)


@pytest.mark.parametrize("overrides", [(), ("experiment=smoke", "generator=dcgan", "battery=all", "features=random")])
def test_the_parts_of_arena_are_its_own(overrides: tuple[str, ...]):
    settings = compose_config([*overrides, "data=digits"])
    named = [name for _, name in code_of({key: settings._get_node(key) for key in ("data", "loss")})]
    assert named == []
    assert all(name.startswith("arena.") for name in own_parts())


def test_a_name_allows_what_lies_in_it_and_nothing_else(tmp_path: Path):
    run = a_run(tmp_path / "run", generator={"_target_": "package.module.Net"})
    for allowed in ("package", "package.module", "package.module.Net"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, "")
            allow_code([allowed])
            assert read_own_config(run)["generator"] == {"_target_": "package.module.Net"}
    for other in ("pack", "package.mod", "package.module.Network", "os"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, "")
            allow_code([other])
            with pytest.raises(ArenaError, match=r"package\.module\.Net"):
                read_own_config(run)


def test_one_node_is_checked_alone(tmp_path: Path):
    """A run whose detector is code from outside still mixes styles, which needs its generator alone."""
    own = {"_target_": "arena.generators.controls.Oracle", "_partial_": True}
    run = a_run(tmp_path / "run", generator=own, battery={"members": {"x": {"_target_": "os.system"}}})
    assert config_node(run, "generator", Oracle) == own
    with pytest.raises(ArenaError, match=r"battery\.members\.x"):
        read_own_config(run)


def test_flags_are_taken_from_anywhere():
    assert take_flag(["--allow-code=a.b", "score", "--allow-code", "c", "DIR"]) == (["a.b", "c"], ["score", "DIR"])
    for wrong in (["score", "--allow-code"], ["--allow-code", "--round"], ["--allow-code="]):
        with pytest.raises(ArenaError, match="--allow-code: expected the name"):
            take_flag(wrong)


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of somebody else, whose detector is a module that leaves a file behind as soon as it is imported."""
    (tmp_path / "stranger.py").write_text(CALLED)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stranger", raising=False)
    run = a_run(
        tmp_path / "run",
        images={"resolution": 8, "channels": 1, "levels": 17},
        evidence={"_target_": "arena.imaging.evidence.Evidence", "levels": None},
        battery={"members": {"x": {"_target_": "stranger.network"}}, "stack": None},
        data={"_target_": "stranger.network"},
        generator={"_target_": "stranger.network"},
    )
    (run / "checkpoints" / "round_00" / "detectors").mkdir(parents=True)
    (run / "records.jsonl").touch()
    (tmp_path / "photographs").mkdir()
    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "RUN", "photographs"],
        ["mix", "RUN", "a.png", "b.png"],
        ["mix", "RUN", "--attributes"],
    ],
    ids=["score", "mix", "attributes"],
)
def test_no_command_calls_it(foreign: Path, arguments: list[str], capsys: pytest.CaptureFixture, monkeypatch):
    monkeypatch.chdir(foreign.parent)
    assert main([part.replace("RUN", str(foreign)) for part in arguments]) == 2
    assert not (foreign.parent / "called").exists()
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
def test_no_race_calls_it(foreign: Path):
    settings = ["experiment=smoke", "generator=launder", f"generator.run={foreign}", "run_dir=new"]
    done = arena(*settings, cwd=foreign.parent)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "generator._target_=stranger.network is code" in done.stderr
    assert not (foreign.parent / "called").exists()


def test_it_is_called_once_it_is_allowed(foreign: Path, capsys: pytest.CaptureFixture):
    called = foreign.parent / "called"
    assert main(["score", str(foreign), str(foreign.parent / "photographs")]) == 2
    assert "battery.members.x._target_=stranger.network is code" in capsys.readouterr().err
    assert not called.exists()
    assert main(["score", str(foreign), str(foreign.parent / "photographs"), "--allow-code", "stranger"]) == 2
    assert "cannot be built" in capsys.readouterr().err
    assert called.exists()
