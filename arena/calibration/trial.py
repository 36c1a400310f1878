"""One trial: a control's images through every phase that the verdict reads, and the verdict."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from arena.answer.equivalence import findings
from arena.answer.finished import read_run
from arena.answer.power import needed
from arena.answer.verdict import verdict
from arena.arena import Arena
from arena.calibration.outcome import Outcome
from arena.calibration.plan import Arm
from arena.compose import arena_of
from arena.metrics.delong import mean
from arena.phases import retrain, warm_up
from arena.phases.calibrate import ORACLE
from arena.phases.phase import Director
from arena.progress import Progress
from arena.race import Step, race

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
    arena = arena_of([*arm.of_trial(trial), *overrides, f"cache_dir={cache}"], run)
    with Progress(Console(quiet=True), [], 0.0) as progress:
        director = Director(arena, progress)
        for step in steps(arena):
            director(*step)
    return outcomes(arm, trial, arena)


def steps(arena: Arena) -> list[Step]:
    """The phases of a race at round 0 that its verdict reads; the oracle's floor, a word in passing, it need not."""
    return [step for step in race(arena) if step[0] not in UNREAD and step[2] != ORACLE]


def outcomes(arm: Arm, trial: int, arena: Arena) -> list[Outcome]:
    """The verdict on a finished trial, technique by technique."""
    run = read_run(arena.run)
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
