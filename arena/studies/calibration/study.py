"""Run the calibration study: controls of known outcome, judged many times over."""

import math
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from scipy.optimize import root_scalar
from scipy.stats import norm, t

from arena.answer.answer import read_answer
from arena.answer.estimate import Estimate, needed
from arena.config.schema import AnswerConfig
from arena.core.errors import ArenaError, require
from arena.core.files import write_atomically
from arena.core.progress import Progress
from arena.figures.axes import png
from arena.figures.tables import write_table
from arena.metrics.auc import mean
from arena.race.build import race_from
from arena.race.loop import algorithm, run_phases
from arena.race.phases.calibrate import FLOOR, ORACLE
from arena.race.phases.generator import warm_up
from arena.records.store import RecordBook
from arena.studies.calibration.drift import limits_table
from arena.studies.calibration.figure import calibration
from arena.studies.calibration.summary import errors_table, expected_table, nulls_table, power_table
from arena.studies.calibration.trials import ARMS, AT_DEFAULTS, Arm, Outcome, in_order
from arena.studies.resumable import ResumableCsv

MOST_DF = 1e4
"""Degrees of freedom from which Student's t counts as normal."""


def calibration_study(out: Path, overrides: Sequence[str], console: Console, only: Sequence[str] = ()) -> None:
    """Run the trials that are left, and write ``outcomes.csv``, the tables and the figure to a folder.

    Args:
        out: the folder.
        overrides: of every trial.
        console: output for one line per trial.
        only: names of the arms to run. Without any, all of ``ARMS`` are run.

    Raises:
        ArenaError: for overrides that no race can be built with, an unknown arm, or a folder that holds a study with
            other overrides.
    """
    start = time.monotonic()
    known = (*ARMS, *AT_DEFAULTS)
    names = dict.fromkeys(arm.name for arm in known)
    for name in only:
        require(name in names, "--arm", name, f"one of {', '.join(names)}")
    arms = tuple(arm for arm in known if arm.name in only) if only else ARMS
    outcomes = run_trials(arms, overrides, out, console)
    write_table(expected_table(outcomes, AnswerConfig.alpha), out / "expected")
    write_table(nulls_table(outcomes), out / "nulls")
    write_table(power_table(outcomes), out / "power")
    write_table(errors_table(outcomes), out / "errors")
    write_table(limits_table(), out / "limits")
    write_atomically(out / "calibration.png", png(calibration(outcomes)))
    console.print(f"{(time.monotonic() - start) / 3600:.2f} hours; wrote {out}", highlight=False)


def run_trial(arm: Arm, trial: int, overrides: Sequence[str], run: Path, cache: Path) -> list[Outcome]:
    """Carry out the phases of a race at round 0 that its verdict reads, and return one outcome a technique.

    Args:
        arm: of the study.
        trial: its number.
        overrides: of the user, after those of the arm.
        run: run directory of the trial.
        cache: folder for rendered faces.
    """
    race = race_from([*arm.of_trial(trial), *overrides, f"cache_dir={cache}"], run)
    # The verdict on round 0 reads neither a warm-up nor the oracle and the floor of the calibration.
    steps = [step for step in algorithm(race) if step.phase is not warm_up and step.player not in (ORACLE, FLOOR)]
    run_phases(race, RecordBook(run), steps, Progress())
    answer = read_answer(run)
    terms = answer.run.declared.answer
    bound, quantile = 0.5 + terms.margin, float(norm.isf(terms.alpha))
    outcomes = []
    for finding in answer.findings:
        estimate = finding.estimate
        assert estimate is not None
        records = list(answer.run.fresh(finding.technique).values())
        reals = mean(answer.run.influences(records)).real
        open_for_images = finding.finding == "undecided" and estimate.high(terms.alpha) >= bound
        outcomes.append(
            Outcome(
                *arm.key_of(trial),
                technique=finding.technique,
                n_real=records[0].n_real,
                n_fake=records[0].n_fake,
                auc=estimate.value,
                of_images=estimate.of_images,
                of_reals=float(reals @ reals),
                of_judges=estimate.error**2 - estimate.of_images,
                df=degrees_of_freedom(estimate),
                finding=finding.finding,
                needed=(needed(estimate, bound, terms.alpha).images or 0) if open_for_images else 0,
                answer=answer.verdict.answer,
                judges=len(records),
                gain=math.nan if finding.gain is None else finding.gain.value,
                gain_error=math.nan if finding.gain is None else finding.gain.reach(terms.alpha) / quantile,
            )
        )
    return outcomes


def degrees_of_freedom(estimate: Estimate) -> float:
    """Return the degrees of freedom with which Student's t has the 95% quantile of the estimate's interval."""
    quantile = estimate.reach(0.025) / estimate.error
    if quantile <= t.isf(0.025, MOST_DF):
        return MOST_DF
    return float(root_scalar(lambda df: t.isf(0.025, df) - quantile, bracket=(1.0, MOST_DF)).root)


RunTrial = Callable[[Arm, int, Sequence[str], Path, Path], list[Outcome]]


def run_trials(
    arms: tuple[Arm, ...], overrides: Sequence[str], out: Path, console: Console, run_one: RunTrial = run_trial
) -> list[Outcome]:
    """Run every trial that ``outcomes.csv`` does not hold yet, and return the outcomes of all.

    Args:
        arms: the plan.
        overrides: of the user, for every trial.
        out: folder of the study.
        console: output for one line per trial.
        run_one: runs one trial.

    Raises:
        ArenaError: for overrides that no race can be built with, or a folder that holds a study with others.
    """
    claim(out, overrides)
    study = ResumableCsv(out / "outcomes.csv", Outcome, ".6g")
    done = {line.key for line in study.lines}
    left = [(arm, trial) for arm, trial in in_order(arms) if arm.key_of(trial) not in done]
    console.print(f"{len(left)} trials to go, {len(done)} done", highlight=False)
    # Trials of the same faces follow each other, so that the faces are drawn once.
    for _, group in groupby(left, key=lambda pair: (pair[0].overrides[:2], pair[1])):
        with TemporaryDirectory() as cache:
            for arm, trial in group:
                with TemporaryDirectory() as run:
                    lines = run_one(arm, trial, overrides, Path(run) / "run", Path(cache))
                study.add(lines)
                title = f"{arm.name}: {arm.control} {arm.artefact} {arm.amplitude or ''}".rstrip()
                console.print(f"{title}, trial {trial}: {lines[0].answer}", highlight=False)
    return study.lines


def claim(out: Path, overrides: Sequence[str]) -> None:
    """Write the overrides of a new study to its folder, or compare them with those of an earlier start.

    Raises:
        ArenaError: if the folder holds a study with other overrides.
    """
    path, wanted = out / "overrides.txt", "".join(f"{text}\n" for text in overrides)
    if not path.is_file():
        write_atomically(path, wanted.encode())
    elif (held := path.read_text(encoding="utf-8")) != wanted:
        raise ArenaError(f"{path}: expected the overrides of this study, found {held.split() or 'none'}")
