"""Stop and damage a small race in many ways, and compare what the same command then makes with an undisturbed race.

Run ``python experiments/crash/crash.py --out DIR``. The same command with the same DIR goes on with the trials that are
left. It prints a table, and ends with exit code 1 if a trial neither made the same race nor named the damage.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path

from arena.core.files import files_in, sha256_of
from arena.report.outcome import outdated

OVERRIDES = (
    *("experiment=smoke", "logger=none", "race.rounds=1", "run_dir=run", "cache_dir=cache"),
    *("schedule.warm_up_images=512", "schedule.response_images=512", "schedule.evaluate_images=128"),
    *("schedule.batch=16", "generator.width=8", "judge.folds=2", "judge.images=256", "battery.images=256"),
    *("judge.degradations=[noise]", "~battery.members.spectrum", "resampling.factor=2"),
)
"""A race of some 30 seconds with every kind of phase, live detectors and resampling."""
KINDS = {"kill": 25, "terminate": 5, "damage": 5}
"""Trials of each kind: SIGKILL and SIGTERM at a random moment, and a damaged file of a finished race."""
OF_THE_CLOCK = ("seconds", "peak_memory_mib", "sha256")
"""Fields of records that differ between two runs of one race."""


@dataclass(frozen=True)
class Trial:
    """One trial and its outcome.

    Args:
        number: of the trial, which seeds it.
        kind: kill, terminate or damage.
        what: the moment in seconds, or the file and its damage.
        stopped: exit code of the disturbed race; negative after a signal that ended it at once.
        code: exit code of the same command afterwards.
        line: last line of its stderr.
        differs: what is not as in the undisturbed race.
    """

    number: int
    kind: str
    what: str
    stopped: int
    code: int
    line: str
    differs: list[str]

    @property
    def sound(self) -> bool:
        """Whether the race came out as the undisturbed one, or one line named the damage."""
        return (self.code == 0 and not self.differs) or (self.code == 2 and self.line.startswith("arena: "))


def main() -> None:
    """Run the trials that are left, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of races and results")
    parser.add_argument("--seed", type=int, default=0, help="of all trials (default: 0)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    reference = options.out / "reference"
    seconds = undisturbed(reference)
    results = options.out / "trials.jsonl"
    done = [Trial(**json.loads(line)) for line in results.read_text().splitlines()] if results.is_file() else []
    kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
    for number in range(len(done), len(kinds)):
        trial = run_trial(number, kinds[number], options.seed, reference, seconds, options.out / f"trial_{number:02d}")
        with results.open("a") as file:
            file.write(json.dumps(asdict(trial)) + "\n")
        print(summary(trial), flush=True)
        done.append(trial)
    for kind in KINDS:
        trials = [trial for trial in done if trial.kind == kind]
        print(f"{kind}: {sum(trial.sound for trial in trials)} of {len(trials)} sound")
    sys.exit(not all(trial.sound for trial in done))


def undisturbed(folder: Path) -> float:
    """Run the race that others are compared with, unless it is there, and return its seconds."""
    took = folder / "seconds"
    if not took.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        start = time.monotonic()
        done = race(folder)
        assert done.returncode == 0, done.stderr
        took.write_text(str(time.monotonic() - start))
    return float(took.read_text())


def race(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the race in a folder, to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(command(), cwd=folder, env=environment(), capture_output=True, text=True)


def command(*arguments: str) -> list[str]:
    """Return the command of the race, or of a subcommand."""
    return [sys.executable, "-m", "arena", *(arguments or OVERRIDES)]


def environment() -> dict[str, str]:
    """Return the environment of a race: two threads, so that it has its second process."""
    return os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(Path(__file__).parents[2])}


def run_trial(number: int, kind: str, seed: int, reference: Path, seconds: float, folder: Path) -> Trial:
    """Disturb a race, run its command again, and compare."""
    rng = random.Random(f"{seed} {number}")
    shutil.rmtree(folder, ignore_errors=True)
    if kind == "damage":
        shutil.copytree(reference, folder)
        what, stopped = damage(folder / "run", rng), 0
    else:
        moment = rng.uniform(0, seconds)
        what, stopped = f"{moment:.1f} s of {seconds:.1f} s", disturb(folder, kind, moment)
    done = race(folder)
    line = next(reversed(done.stderr.strip().splitlines()), "")
    differs = list(differences(folder, reference)) if done.returncode == 0 else ["unfinished"]
    if not differs:
        shutil.rmtree(folder)
    return Trial(number, kind, what, stopped, done.returncode, line, differs)


def disturb(folder: Path, kind: str, moment: float) -> int:
    """Start the race, end it by a signal after so many seconds, and return its exit code."""
    folder.mkdir(parents=True)
    with subprocess.Popen(
        command(), cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            return process.wait(moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL if kind == "kill" else signal.SIGTERM)
            return process.wait(60)


def damage(run: Path, rng: random.Random) -> str:
    """Flip a bit of a random file of a run, cut it, or delete it, and say which."""
    path = rng.choice(files_in(run))
    content = bytearray(path.read_bytes())
    way = rng.choice(["flipped", "cut", "deleted"])
    if way == "deleted":
        path.unlink()
    else:
        if way == "flipped":
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content if way == "flipped" else content[: rng.randrange(len(content))])
    return f"{path.relative_to(run)} {way}"


def differences(folder: Path, reference: Path) -> Iterator[str]:
    """Yield what differs between two finished races: records, files and, at equal times, the report."""
    ours, theirs = folder / "run", reference / "run"
    for number, (one, other) in enumerate(zip_longest(records(ours), records(theirs), fillvalue={}), 1):
        fields = sorted(key for key in one | other if one.get(key) != other.get(key))
        if fields:
            yield f"line {number} of the records, a {one.get('kind')}: {', '.join(fields)}"
    made = (".png", ".pdf", ".csv", ".tex")
    compared = {path.relative_to(theirs) for path in files_in(theirs) if not path.name.startswith(".")}
    for name in sorted(compared - {Path(name) for name in ("records.jsonl", "report.html", "outcome.json")}):
        if not (ours / name).is_file() or sha256_of(ours / name) != sha256_of(theirs / name):
            yield str(name)
    if stale := outdated(ours):
        yield f"out of date: {', '.join(stale)}"
    assert any(path.suffix in made for path in compared)
    # The report tells seconds and memory. From the records of the reference it has to be equal.
    shutil.copyfile(ours / "records.jsonl", folder / "records.jsonl")
    shutil.copyfile(theirs / "records.jsonl", ours / "records.jsonl")
    subprocess.run(command("report", "run"), cwd=folder, env=environment(), check=True, capture_output=True)
    if sha256_of(ours / "report.html") != sha256_of(theirs / "report.html"):
        yield "report.html"


def records(run: Path) -> Sequence[dict[str, object]]:
    """Return the records of a run without times and memory."""
    lines = map(json.loads, (run / "records.jsonl").read_text().splitlines())
    return [{key: value for key, value in line.items() if key not in OF_THE_CLOCK} for line in lines]


def summary(trial: Trial) -> str:
    """Return one line about a trial."""
    said = ", ".join(trial.differs) or "as undisturbed"
    line = f" · {trial.line}" if trial.line else ""
    return f"{trial.number:2d} {trial.kind:9} {trial.what}: exit {trial.stopped}, then {trial.code}: {said}{line}"


if __name__ == "__main__":
    main()
