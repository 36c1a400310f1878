"""The command line as a user meets it: help, errors, interruption, sweeps."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from arena.cli.main import main
from arena.cli.race import tracking_labels
from arena.cli.subcommands import COMMANDS
from arena.config.compose import compose_config
from arena.core.errors import ArenaError
from tests.building import arena, environment, smallest, tiny_arena

SMALLEST = smallest()

# Many commands in one process, which imports torch once or not at all.
EVERY = """
import contextlib, io, json, sys
from pathlib import Path
from arena.cli.main import main

before, results = set(Path().rglob("*")), []
for arguments in json.load(sys.stdin):
    code, out, error = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try: code = main(arguments)
        except SystemExit as end: code = end.code
        except Exception as end: code = repr(end)
    left = sorted(map(str, set(Path().rglob("*")) - before))
    results.append([code or 0, out.getvalue(), error.getvalue(), left])
heavy = sorted({"torch", "sklearn", "wandb", "matplotlib"} & set(sys.modules))
print(json.dumps([results, heavy]))
"""


def every(commands: list[list[str]], cwd: Path, before: str = "") -> tuple[list[tuple[int, str, str, list[str]]], list]:
    """The code, output, errors and new files of each command, and the heavy packages that they imported."""
    done = subprocess.run(
        [sys.executable, "-c", before + EVERY],
        input=json.dumps(commands),
        cwd=cwd,
        env=environment(cwd),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- help ------------------------------------------------------------------------------------------------------------

HELP = [
    (["--help"], ["arena experiment=smoke", "everything, features, labels, none, ", "detector/paper: ", *COMMANDS]),
    (["--config-dir", "conf", "--help"], ["arena experiment=smoke", "everything, features, labels, mine, none, "]),
    (["--cfg", "job", "race.rounds=7"], ["rounds: 7", "_target_: arena.data.digits.Digits"]),
    (["--hydra-help"], ["--multirun"]),
    *(([name, "--help"], [f"usage: arena {name} "]) for name in COMMANDS),
]


def test_help_and_mistakes_of_subcommands_import_nothing_heavy_and_write_nothing(tmp_path):
    (tmp_path / "conf" / "access").mkdir(parents=True)
    (tmp_path / "conf" / "access" / "mine.yaml").touch()
    mistakes = [[name, "--no-such-flag"] for name in COMMANDS]
    results, heavy = every([*(arguments for arguments, _ in HELP), *mistakes], tmp_path)
    assert heavy == []
    for (arguments, lines), (code, out, error, left) in zip(HELP, results, strict=False):
        assert (code, error, left) == (0, "", []), arguments
        assert [line for line in lines if line not in out] == [], arguments
    assert "detector/network" not in results[0][1]  # a part of other options
    for (name, _), (code, _, error, left) in zip(mistakes, results[len(HELP) :], strict=True):
        assert (code, error.count("\n"), left) == (2, 1, []), name
        assert error.startswith("arena: "), name
        assert f"`arena {name} --help`" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["anwser"], "anwser: expected an override such as seed=1, or one of answer, figures, report, score"),
        (["--fast"], "--fast: no such flag"),
        (["--cfg", "nothing"], "argument --cfg/-c: invalid choice: 'nothing'"),
        (["race.rounds=[1"], "race.rounds=[1: "),
        (["answer", "nowhere"], "nowhere: expected the directory of a run"),
        (["report", "nowhere"], "nowhere: expected"),
        (["figures", "nowhere", "--out", "out"], "nowhere: expected"),
        (["figures", "nowhere"], "the following arguments are required: --out"),
        (["mix", "nowhere"], "photographs: expected two, found 0"),
        (["score", "nowhere", "nowhere"], "nowhere: expected"),
        (
            ["sensitivity", "--out", "out", "data=faces"],
            "Could not find 'data/faces' Available options in 'data': celeba",
        ),
        (["calibration", "--out", "out", "judge.foldz=2"], "Could not override 'judge.foldz': Key 'foldz' not in"),
    ],
)
def test_a_mistake_is_one_line_and_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.out.count("\n") <= 1  # a study says how many trials are left
    assert output.err.startswith("arena: ")
    assert message in output.err
    assert output.err.count("\n") == 1


# --- errors of a race ------------------------------------------------------------------------------------------------

# Overrides, and the start of the line. After "..." the line must contain the rest.
REFUSED = [
    (["race.rnds=3"], "...race.rnds"),
    (["race.rounds=-1"], "race.rounds=-1: expected at least 0"),
    (["race.rounds=[1"], "race.rounds=[1: "),
    (["data=null"], "data=null: "),
    (["data=faces"], "...'data/faces' Available options in 'data': celeba cifar10 digits ffhq folder"),
    (["data=folder"], "data.path=null: "),
    (["data=huggingface"], "data.name=null: expected a set of the Hugging Face hub"),
    (["data=folder", "data.path=missing"], "data.path=missing: expected a folder of images, found nothing"),
    (["data=folder", "data.path=empty"], "data.path=empty: expected images, found none"),
    (["data=folder", "data.path=few"], "data: 3 usable images, but the splits need at least 172"),
    (["data=digits", "data.resolution=16"], "data.resolution=16: "),
    (["data=portraits", "data.resolution=48"], "data.resolution=48: "),
    (["data.planted_amplitude=17"], "data.planted_amplitude=17: expected a whole number of the data's grey levels"),
    (["access.held_out=[nope]"], "access.held_out=nope: expected techniques of the battery (cnn, dct"),
    (["battery.aligned=[nope]"], "battery.aligned=nope: expected techniques that learn from fakes (cnn, dct"),
    (["judge.hardened=1.5"], "judge.hardened=1.5: expected at most 1"),
    (
        ["judge.hardened=0.5", "access=none", *(f"~battery.members.{name}" for name in ("cnn", "dct", "spectrum"))],
        "judge.hardened=0.5: expected 0, or a differentiable technique in the battery",
    ),
    (
        ["judge.hardened=0.5", "judge.hardened_levels=17"],
        "judge.hardened_levels=17: expected less than the data's 17 grey levels",
    ),
    (["judge.hardened_levels=0"], "judge.hardened_levels=0: expected at least 1"),
    (["judge.hardened_steps=0"], "judge.hardened_steps=0: expected at least 1"),
    (["access.held_out=nope"], "access.held_out=nope: expected a list"),
    (
        ["access=white_box", "access.held_out=[cnn,dct,spectrum]"],
        "access=white_box: expected a differentiable technique",
    ),
    (["access=equal_norm"], "access=equal_norm: expected pool=all, last or mixture and objective=fool or match, "),
    (["objective=kernel"], "objective=kernel: expected objective=relative_kernel, or pool=all"),
    (["generator=oracle", "race.rounds=2"], "race.rounds=2: expected 0, since generator=oracle does not train"),
    (["generator._target_=nope.Generator"], "generator._target_=nope.Generator: expected"),
    (["generator.amplitude=3"], "...generator.amplitude"),
    (
        ["generator=planted", "generator.kind=stars", "race.rounds=0"],
        "generator.kind=stars: expected checkerboard, stripes",
    ),
    (["generator=planted", "generator.frequency=[1,0]"], "generator.frequency=[1, 0]: expected two frequencies"),
    (["generator=folder", "race.rounds=0"], "generator.path=null: generator=folder needs the folder"),
    (
        ["generator=folder", "generator.path=few", "race.rounds=0"],
        "generator.path=few: 3 different images, expected at least",
    ),
    (["generator=module", "race.rounds=0"], "generator.path=null: expected a program file"),
    (["generator=module", "generator.path=a_file", "generator.z_dim=4"], "generator.path=a_file: expected TorchScript"),
    (["generator=module", "generator.name=x.Y", "generator.z_dim=4"], "generator.name=x.Y: expected package.module"),
    (["battery.add=[npr,cnn]"], "battery.add=[npr,cnn]: expected techniques that the battery does not have yet, found"),
    (["battery.add=[nope]"], "battery.add=[nope]: expected detectors among autoencoder, bayar"),
    (["battery.members.cnn=null"], "battery.members.cnn=null: expected a part"),
    (["+battery.members.cnn.network.typo=1"], "battery.members.cnn.network.typo: no such key, expected one of"),
    (["battery.members.cnn.network.width=many"], "battery.members.cnn.network.width=many: expected a whole number"),
    (["battery.members.cnn.network._target_=no.Net"], "battery.members.cnn.network._target_=no.Net: expected the name"),
    (["~battery.members.cnn.network.width"], "battery.members.cnn._target_: cannot be built ("),
    (
        ["+battery.members.cnn.typo=1"],
        "battery.members.cnn.typo: no such key, expected one of blur, jpeg, mirror,",
    ),
    (["evidence.resize=20"], "evidence.resize=20: expected a side that the generator's discriminator takes"),
    (["race.from=x"], "race.from=x: expected a finished run (x: expected the directory of a run"),
    (["+race.typo=1"], "race.typo=1: expected race.rounds or race.from"),
    (["loss=logistic", "loss.path_length=2", "generator=dcgan"], "loss.path_length=2: expected 0"),
    (["generator.minibatch_group=3"], "generator.minibatch_group=3: expected a divisor of schedule.batch="),
    (["generator.weights=missing"], "generator.weights=missing: expected safetensors of this network"),
    (["+generator.typo=1"], "generator.typo: no such key, expected one of width"),
    (["+generator.resolution=16"], "generator.resolution: no such key"),  # the data's to say
    (["+typo=1"], "typo: no such key"),
    (["run_dir=a_file"], "run_dir=a_file: expected a folder that can be written to"),
    (["cache_dir=a_file/below"], "cache_dir=a_file/below: expected a folder that can be written to"),
]

# Further arguments, and after the last tab the start of the line.
FURTHER = [line.split("\t") for line in Path(__file__).with_name("refused.tsv").read_text().splitlines()]
REFUSED += [(arguments, line) for *arguments, line in FURTHER]

NOT_STARTED = """
import arena.race.loop
def started(*_): raise SystemExit("started")
arena.race.loop.run_race = started
"""


@pytest.mark.slow
def test_a_mistake_of_a_race_is_one_line_and_2_before_anything_is_done(tmp_path):
    for folder in ("empty", "few", "cache", "pipes"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "pipes" / "pipe.png")
    for number in range(3):
        Image.new("L", (32, 32), color=number).save(tmp_path / "few" / f"{number}.png")
    (tmp_path / "a_file").touch()
    results, _ = every([overrides for overrides, _ in REFUSED], tmp_path, NOT_STARTED)
    wrong = []
    for (overrides, expected), (code, _, error, left) in zip(REFUSED, results, strict=True):
        line = error.removeprefix("arena: ").strip()
        right = expected.removeprefix("...") in line if expected.startswith("...") else line.startswith(expected)
        advised = "To append" in line  # Hydra's advice to add the key with a + leads nowhere
        remains = [path for path in left if not path.startswith("cache")]
        if (code, error.count("\n"), right, advised, remains) != (2, 1, True, False, []):
            wrong.append((overrides, code, error, remains))
    assert wrong == []


def test_a_run_directory_holds_one_race(run):
    tiny_arena(run, "access=none", "race.rounds=1")
    written = (run / "config.yaml").read_bytes()
    tiny_arena(run, "access=none", "race.rounds=1", "logger.project=another")  # tracking changes no race
    with pytest.raises(ArenaError) as error:
        tiny_arena(run, "access=none", "race.rounds=2", "seed=4", "data.seed=4", "judge.seeds=4")
    assert str(error.value).startswith(f"run_dir={run}: expected this race or none, found another, with ")
    assert str(error.value).endswith("with data.seed=0, race.rounds=1, judge.seeds=3 and 2 more")
    assert (run / "config.yaml").read_bytes() == written


# --- interruption ----------------------------------------------------------------------------------------------------


def started(cwd: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """The command in a process group of its own, as a shell or a job starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "arena", *arguments],
        cwd=cwd,
        env=environment(cwd) | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 600
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(group: int) -> bool:
    """Whether all processes of a group end within ten seconds."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["records.jsonl", ".owner"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)], ids=str
)
def test_an_interrupted_race_names_the_command_that_continues(tmp_path, moment, number, code):
    """After the first phase, and as soon as the race holds its directory. All processes of a job get the signal."""
    run = tmp_path / "run"
    overrides = [*SMALLEST, "access=none", "race.rounds=1", f"run_dir={run}"]
    with started(tmp_path, *overrides, OMP_NUM_THREADS="2") as process:  # two threads: a second process judges
        wait_for(run / moment, process)
        os.killpg(process.pid, number)
        _, error = process.communicate()
    assert process.returncode == code
    assert error == f"arena: interrupted; the same command with run_dir={run} continues\n"
    assert not (run / "verdict.json").exists()
    assert not (run / ".owner").exists()
    assert ended(process.pid)  # the second process too
    if (moment, number) == ("records.jsonl", signal.SIGTERM):
        done = arena(*overrides, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads((run / "verdict.json").read_text())["sentence"] in done.stdout
        assert "[1/" not in done.stdout  # the phase that was done before
        assert "\x1b" not in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_packages_are_imported_is_one_line(tmp_path, number):
    for seconds in (0.2, 0.5, 1.0, 1.5):  # after the interpreter has started
        with started(tmp_path, *SMALLEST, "access=none", "run_dir=run") as process:
            time.sleep(seconds)
            process.send_signal(number)
            _, error = process.communicate()
        assert process.returncode == (130 if number == signal.SIGINT else 143)
        assert re.fullmatch(r"arena: interrupted(; the same command with run_dir=run continues)?\n", error)


@pytest.mark.slow
def test_a_second_process_on_a_run_is_refused_and_disturbs_nothing(tmp_path):
    run = tmp_path / "run"
    overrides = [*SMALLEST, "access=none", "schedule.warm_up_images=1000000", f"run_dir={run}"]
    with started(tmp_path, *overrides) as process:
        wait_for(run / ".owner", process)
        second = arena(*overrides, cwd=tmp_path)
        process.terminate()
        process.communicate()
    found = f"found process {process.pid} on {socket.gethostname()}"
    assert second.stderr == f"arena: run_dir={run}: expected a run that no other process works on, {found}\n"
    assert (second.returncode, process.returncode) == (2, 143)


def test_several_tasks_of_slurm_are_refused_by_one_of_them(monkeypatch, capsys):
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    for task in ("0", "1"):
        monkeypatch.setenv("SLURM_PROCID", task)
        assert main(["experiment=smoke"]) == 2
    assert capsys.readouterr().err == (
        "arena: srun --ntasks=2: expected one task, as a race uses one process of one machine\n"
    )


# --- labels on W&B ---------------------------------------------------------------------------------------------------


def hydra(*overrides):
    return compose_config(["run_dir=runs/one", "cache_dir=cache", *overrides], return_hydra_config=True).hydra


def test_a_race_is_grouped_on_wandb_by_its_experiment_and_tagged_by_its_options():
    config = hydra("experiment=smoke", "access=other_reals", "data=portraits")
    labels = tracking_labels(config, Path("runs/one"), "other_reals")
    assert (labels.name, labels.group, labels.job_type) == ("one", "smoke", "other_reals")
    expected = ("access=other_reals", "data=portraits", "generator=style", "battery=tiny")
    assert labels.tags == [*expected, "objective=relative", "pool=live"]


def test_the_races_of_a_sweep_are_a_group_on_wandb_and_named_by_their_folders():
    member = hydra("access=none", "seed=2", "logger=online", "hydra.job.num=5")
    labels = tracking_labels(member, Path("runs/default/monday-sweep/access-none+seed-2"), "none")
    assert labels.name == "access-none+seed-2"
    assert labels.group == "default/monday-sweep"
