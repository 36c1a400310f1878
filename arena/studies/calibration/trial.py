"""Run the trials of the calibration study."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from arena.answer.estimate import needed
from arena.answer.findings import findings
from arena.answer.runs import read_run
from arena.answer.verdict import verdict
from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.core.progress import Progress
from arena.metrics.auc import mean
from arena.race.build import race_from
from arena.race.loop import Step, algorithm
from arena.race.phases.calibrate import ORACLE
from arena.race.phases.retrain import retrain
from arena.race.phases.warm_up import warm_up
from arena.race.race import Race
from arena.race.runner import PhaseRunner
from arena.studies.calibration.outcome import Outcome, read, write
from arena.studies.calibration.plan import Arm, in_order

UNREAD = (warm_up, retrain)
"""Phases of which a verdict at round 0 reads nothing."""


def try_once(arm: Arm, trial: int, overrides: Sequence[str], run: Path, cache: Path) -> list[Outcome]:
    """Build, calibrate, forge, judge, measure and answer.

    Args:
        arm: of the study.
        trial: its number.
        overrides: the user's, after those of the arm.
        run: its run directory, of no use after.
        cache: where rendered faces are kept.

    Returns:
        One outcome a technique.
    """
    race = race_from([*arm.of_trial(trial), *overrides, f"cache_dir={cache}"], run)
    with Progress(Console(quiet=True), [], 0.0) as progress:
        director = PhaseRunner(race, progress)
        for step in steps(race):
            director(*step)
    return outcomes(arm, trial, race)


def steps(race: Race) -> list[Step]:
    """The phases of a race at round 0 that its verdict reads; the oracle's floor, a word in passing, it need not."""
    return [step for step in algorithm(race) if step[0] not in UNREAD and step[2] != ORACLE]


def outcomes(arm: Arm, trial: int, race: Race) -> list[Outcome]:
    """The verdict on a finished trial, technique by technique."""
    run = read_run(race.run)
    answer, terms = verdict([run]), run.declared.answer
    lines = []
    for found in findings([run]):
        its = found.estimate
        assert its is not None
        bound = 0.5 + terms.margin
        records = list(run.fresh(found.technique).values())
        reals = mean(run.influences(records)).real
        open_for_images = found.finding == "undecided" and its.high(terms.alpha) >= bound
        numbers = needed(its, bound, terms.alpha) if open_for_images else None
        lines.append(
            Outcome(
                arm=arm.name,
                control=arm.control,
                artefact=arm.artefact or "",
                amplitude=arm.amplitude,
                trial=trial,
                technique=found.technique,
                n_real=records[0].n_real,
                n_fake=records[0].n_fake,
                auc=its.value,
                of_images=its.of_images,
                of_reals=float(reals @ reals),
                of_judges=its.of_repeats,
                df=its.df,
                finding=found.finding,
                needed=(numbers.images or 0) if numbers else 0,
                answer=answer.answer,
            )
        )
    return lines


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
