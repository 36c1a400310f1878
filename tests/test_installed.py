"""The wheel has all it needs: ``arena`` works without a checkout."""

import json
import os
import re
import subprocess
import sys
import textwrap
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.building import TINY

CHECKOUT = Path(__file__).parents[1]

# The command as pip installs it, and proof that nothing of the checkout is on the path.
SCRIPT = """
import sys
from pathlib import Path
checkout = Path(sys.argv.pop())
sys.path[:] = [place for place in sys.path if Path(place).resolve() != checkout]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
import arena.cli.main
assert checkout not in Path(arena.cli.__file__).resolve().parents, arena.cli.__file__
sys.argv[0] = "arena"
sys.exit(arena.cli.main.main())
"""
# No figures and no report, which take longer than the race.
UNDRAWN = """
import arena.report.outcome
arena.report.outcome.draw_all = lambda *_: []
arena.report.outcome.write_report = lambda answer: answer.run.path / "verdict.json"
"""

ONE = [override for override in TINY if "forest" not in override] + [
    "battery.stack=null",
    *(f"~battery.members.{name}" for name in ("cnn", "spectrum", "forest")),
]
"""Overrides that leave one technique, which learns by gradient."""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the content of the wheel."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    quiet = {"check": True, "capture_output": True, "cwd": CHECKOUT}
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels)], **quiet)
    (wheel,) = wheels.glob("arena_race-*.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], **quiet)
    return target


THEIRS = """
import torch

class Net(torch.nn.Module):
    def __init__(self, width):
        super().__init__()
        first, last = torch.nn.Linear(5, width, bias=False), torch.nn.Linear(width, 64)
        self.layers = torch.nn.Sequential(first, torch.nn.BatchNorm1d(width), torch.nn.ReLU(), last)

    def forward(self, z):
        return self.layers(z).sigmoid().reshape(-1, 1, 8, 8)
"""
NAMES = {
    *("layers.0.weight", "layers.1.weight", "layers.1.bias", "layers.3.weight", "layers.3.bias"),
    *("layers.1.running_mean", "layers.1.running_var", "layers.1.num_batches_tracked"),
}


def run(installed: Path, cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join(map(str, (installed, cwd / "site")))
    environment = os.environ | {"PYTHONPATH": places, "OMP_NUM_THREADS": "1", "ARENA_CACHE": str(cwd / "cache")}
    return subprocess.run([sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True)


@pytest.mark.slow
def test_the_configuration_travels_in_the_package(installed, tmp_path):
    carried = {path.relative_to(installed / "arena" / "conf") for path in (installed / "arena").rglob("conf/**/*.yaml")}
    assert carried == {path.relative_to(CHECKOUT / "conf") for path in CHECKOUT.glob("conf/**/*.yaml")}
    assert (installed / "arena" / "report" / "template.html").is_file()
    done = run(installed, tmp_path, "-m", "arena", "--cfg", "job", "race.rounds=7")
    assert done.returncode == 0, done.stderr
    assert "rounds: 7" in done.stdout


def test_the_wheel_names_the_command(installed):
    (metadata,) = installed.glob("arena_race-*.dist-info")
    (command,) = PathDistribution(metadata).entry_points.select(group="console_scripts")
    assert (command.name, command.value) == ("arena", "arena.cli.main:main")
    assert (installed / "bin" / "arena").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("trainable", [False, True])
def test_a_network_of_a_package_outside_the_checkout_races(installed, tmp_path, trainable):
    theirs = tmp_path / "site" / "theirs"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").touch()
    (theirs / "net.py").write_text(THEIRS)
    net = ["generator=module", "generator.name=theirs.net.Net", "generator.kwargs={width:12}", "generator.z_dim=5"]
    how = [f"generator.trainable={trainable}", f"race.rounds={int(trainable)}", "generator.value_range=[0,1]"]
    done = run(installed, tmp_path, "-c", UNDRAWN + SCRIPT, *ONE, *net, *how, "run_dir=race", str(CHECKOUT))
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "race" / "verdict.json").read_text())["sentence"] in done.stdout
    weights = sorted((tmp_path / "race").glob("checkpoints/*/gan/generator.safetensors"))
    assert len(weights) == 2 * trainable
    states = [load_file(path) for path in weights]
    if trainable:
        assert states[0].keys() == states[1].keys() == {f"network.{name}" for name in NAMES}
        changed = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
        assert changed == {f"network.{name}" for name in NAMES}


# --- docs/plugging-in-a-detector.md, as it is written ----------------------------------------------------------------

PAGE = (CHECKOUT / "docs" / "plugging-in-a-detector.md").read_text()
BLOCK = re.compile(r"^( *)`([\w/]+\.(?:py|yaml))`:\n\n *```\w+\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)

BUILT = """
import sys
import torch
from arena.config.compose import compose_config
from arena.config.instantiate import SHAPE, instantiate

images = torch.rand(3, 1, 8, 8) * 2 - 1
for name, node in compose_config(sys.argv[1:]).battery.members.items():
    if name in ("mine", "flatness", "exported", "scripted"):
        detector = instantiate(node, f"battery.members.{name}", SHAPE)
        detector = detector(resolution=8, channels=1, levels=17).eval()
        print(name, type(detector).__name__, detector.artefact, detector.differentiable, tuple(detector(images).shape))
"""
"""Builds the detectors of the page from overrides, as the command does."""

PATHS = ["hydra.searchpath=[file://mine/conf]"]
MINE = ["+detector@battery.members.mine=mine", "+detector@battery.members.flatness=flatness"]


@pytest.fixture
def package(tmp_path):
    """A folder outside the checkout, with the files of the page."""
    for _, name, content in BLOCK.findall(PAGE):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(content))
    (tmp_path / "mine" / "__init__.py").touch()
    return tmp_path


def test_the_page_says_of_every_file_where_it_lies():
    names = [name for _, name, _ in BLOCK.findall(PAGE)]
    assert names == [
        *("mine/net.py", "mine/conf/detector/mine.yaml", "export.py", "mine/flatness.py"),
        *("mine/conf/detector/flatness.yaml", "tests/test_mine.py"),
    ]
    assert len(names) == len(re.findall(r"^ *```\w+$", PAGE, re.MULTILINE))


@pytest.mark.slow
def test_the_pages_detectors_and_exported_programs_are_built_outside_the_checkout(installed, package):
    done = run(installed, package, "export.py")
    assert done.returncode == 0, done.stderr
    programs = []
    for name, file in (("exported", "net.pt2"), ("scripted", "net.pt")):
        key = f"battery.members.{name}"
        programs += [f"+detector@{key}=module", f"{key}.path={file}", f"{key}.trainable=false"]
    done = run(installed, package, "-c", BUILT, *PATHS, *MINE, *programs)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "mine TrainableModuleDetector stripes True (3,)",
        "flatness Flatness checkerboard True (3,)",
        "exported FrozenModuleDetector checkerboard True (3,)",
        "scripted FrozenModuleDetector checkerboard True (3,)",
    ]


@pytest.mark.slow
def test_the_pages_test_passes(installed, package):
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(package), "tests"]
    done = run(installed, package, *command)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


@pytest.mark.slow
def test_the_pages_detectors_race(installed, package):
    shape = ["generator=oracle", "access=none", "race.rounds=0", "run_dir=race"]
    done = run(installed, package, "-c", SCRIPT, "--config-dir", "mine/conf", *ONE, *MINE, *shape, str(CHECKOUT))
    assert done.returncode == 0, done.stderr
    assert json.loads((package / "race" / "verdict.json").read_text())["sentence"] in done.stdout
    assert "Can you tell which are real?" in (package / "race" / "report.html").read_text(encoding="utf-8")
    written = (package / "race" / "config.yaml").read_text()
    assert "git_commit: null" in written  # a repository around it is the user's
    assert "mine.net.Net" in written
    assert "mine.flatness.Flatness" in written
