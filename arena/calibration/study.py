"""The study: every trial of the plan, one after another; what was found is kept, and an interrupted study goes on."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from arena.calibration.outcome import Outcome, read, write
from arena.calibration.plan import Arm, in_order
from arena.calibration.trial import try_once
from arena.errors import ArenaError
from arena.records import write_atomically


def study(arms: tuple[Arm, ...], overrides: Sequence[str], out: Path, console: Console) -> list[Outcome]:
    """Carry out every trial that is not in the study's file yet.

    Args:
        arms: the plan.
        overrides: the user's, for every trial.
        out: where ``outcomes.csv`` is kept.
        console: is told of every trial.

    Raises:
        ArenaError: for overrides no arena can be built with, or a folder that holds a study with others.
    """
    claim(out, overrides)
    path = out / "outcomes.csv"
    found = list(read(path)) if path.is_file() else []
    done = {_key(line) for line in found}
    left = [(arm, trial) for arm, trial in in_order(arms) if _key_of(arm, trial) not in done]
    console.print(f"{len(left)} trials to go, {len(done)} done", highlight=False)
    # Trials of the same faces come one after another, and the faces are drawn once.
    for _, group in groupby(left, key=lambda pair: (pair[0].overrides[:2], pair[1])):
        with TemporaryDirectory() as cache:
            for arm, trial in group:
                with TemporaryDirectory() as run:
                    lines = try_once(arm, trial, overrides, Path(run) / "run", Path(cache))
                found += lines
                write(path, found)
                told = f"{arm.name}: {arm.control} {arm.artefact or ''} {arm.amplitude or ''}".rstrip()
                console.print(f"{told}, trial {trial}: {lines[0].answer}", highlight=False)
    return found


def claim(out: Path, overrides: Sequence[str]) -> None:
    """Note the overrides of a new study, or find the same in an old one.

    Raises:
        ArenaError: where the folder holds a study with others.
    """
    path, wanted = out / "overrides.txt", "".join(f"{text}\n" for text in overrides)
    if not path.is_file():
        write_atomically(path, wanted.encode())
    elif (held := path.read_text(encoding="utf-8")) != wanted:
        raise ArenaError(f"{path}: expected the overrides of this study, found {held.split() or 'none'}")


def _key(line: Outcome) -> tuple[str, str, str, int, int]:
    return line.arm, line.control, line.artefact, line.amplitude, line.trial


def _key_of(arm: Arm, trial: int) -> tuple[str, str, str, int, int]:
    return arm.name, arm.control, arm.artefact or "", arm.amplitude, trial
