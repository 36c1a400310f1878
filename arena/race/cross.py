"""Test the fresh judges of each run on the fakes of every other run of its condition (``arena cross``).

The judges of a run are trained once more from its files, which gives the scores that it recorded to the bit. They then
test the other runs' fakes of the same round, of which they have seen none. The reals that test are the same in all
runs, and each is scored by judges that did not learn from it.
"""

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from arena.answer.answer import Answer, answer_of
from arena.answer.conditions import conditions
from arena.answer.runs import FinishedRun, find_runs, read_run
from arena.config.saved import condition_settings, flatten, section
from arena.core.errors import ArenaError
from arena.core.machine import at_once, peak_memory_mib
from arena.core.progress import Progress
from arena.race.build import race_of
from arena.race.case import Case, fakes_of_judges
from arena.race.checkpoints import Bank
from arena.race.judging import Judgement, judge_cases, score_record
from arena.race.processes import SecondProcess, has_second, threads_of_phases
from arena.records.integrity import check_files
from arena.records.layout import RunLayout
from arena.records.schema import PhaseRecord, Spent
from arena.records.store import RecordBook, read_scores
from arena.training.meter import Meter

CROSS = "cross"
"""Name of the phase."""


def cross_runs(places: Sequence[Path], console: Console) -> Answer:
    """Test every run's judges on every other run's fakes, and append the tests to the records of the tested run.

    Tests that are on record already are left alone, so that the same command continues an interrupted one. The verdict
    of every run is written again, since it has the transferred detectors too.

    Args:
        places: run directories of one condition and data seed, or folders that hold such.
        console: the output.

    Returns:
        The answer of the condition, with its cross matrix.

    Raises:
        ArenaError: if the runs cannot be crossed, or a run's judges do not come out as they were recorded.
    """
    runs = crossable(places)
    with Progress(console, [(CROSS, _player(run)) for run in runs]) as progress:
        for run in runs:
            others = [other for other in runs if other is not run and not _closed(other, run)]
            if others:
                with progress.phase(CROSS, run.declared.last_round, _player(run)):
                    judge_others(run, others, progress)
            else:
                progress.skip(CROSS, _player(run), 0.0)
    crossed = [read_run(run.path) for run in runs]
    for run in crossed:
        answer_of([run]).verdict.write(run.path)
    return answer_of(crossed)


def crossable(places: Sequence[Path]) -> list[FinishedRun]:
    """Return the runs, in order of their seeds, if their judges can test each other's fakes.

    Raises:
        ArenaError: naming the run and the setting in which it differs.
    """
    runs, passed_over = find_runs(places)
    if passed_over:
        raise ArenaError(f"{passed_over[0]}. Every run that is crossed must be finished")
    if len(runs) < 2:
        raise ArenaError(f"{runs[0].path}: expected two runs or more, whose judges test each other's fakes")
    first = runs[0]
    settings = dict(flatten(condition_settings(first.config)))
    for run in runs[1:]:
        theirs = dict(flatten(condition_settings(run.config)))
        for key in settings | theirs:
            if settings.get(key) != theirs.get(key):
                raise ArenaError(
                    f"{run.path}: {key}={theirs.get(key)}, but {first.path} has {key}={settings.get(key)}: expected "
                    "runs of one condition"
                )
        if (run.declared.data_seed, run.declared.judge_reals) != (first.declared.data_seed, first.declared.judge_reals):
            raise ArenaError(
                f"{run.path}: data.seed={run.declared.data_seed}, but {first.path} has "
                f"data.seed={first.declared.data_seed}: expected the same test reals in every run"
            )
    (condition,) = conditions(runs)
    return list(condition.runs)


def judge_others(run: FinishedRun, others: Sequence[FinishedRun], progress: Progress) -> None:
    """Train the fresh judges of a run again, and append their tests of the others' fakes to the others' records.

    Raises:
        ArenaError: if the race trains no generator, or the judges do not come out as they were recorded.
    """
    start, last = time.perf_counter(), run.declared.last_round
    race = race_of(run.path)
    if race.finite:
        raise ArenaError(
            f"{run.path}: expected a generator that forges without end. Judges of one run may have learned from the "
            "test fakes of another where these come from one pool"
        )
    recorded = run.fresh(run.declared.techniques[0])  # all techniques have the same seeds and budget
    bank, seeds = _bank(run), sorted(recorded)
    budget = max(record.judge_images or race.judge.images for record in recorded.values())
    case = Case.of(race, bank.test, fakes_of_judges(race, bank, last, seeds, budget // race.judge.images), last)
    cases = [Case.of(race, _bank(other).test, [], last) for other in others]
    progress.expect(len(seeds) * race.judge.folds * budget)
    members, seed, meter = list(race.members), race.seed_of("judge", last), Meter()
    two = has_second(race)
    with (
        at_once(torch.get_num_threads()),
        threads_of_phases(race),
        SecondProcess(race) if two else nullcontext() as second,
    ):
        (own, *crossed), images = judge_cases(
            race, case, cases, members, seed, seeds, images=budget, progress=progress, meter=meter, second=second
        )
    check_own(run, own)
    for other, judged in zip(others, crossed, strict=True):
        tested = replace(race, run=other.path, seed=other.seed)
        records = [
            score_record(
                tested,
                judgement.test,
                technique,
                "transferred",
                generator_round=last,
                detector_round=last,
                judge_seed=judge_seed,
                judge_images=budget,
                validation_auc=judgement.validation_auc,
                judge_run=run.seed,
            )
            for judge_seed, judgements in zip(seeds, judged, strict=True)
            for technique, judgement in judgements.items()
        ]
        closing = PhaseRecord(
            round=last,
            seed=other.seed,
            phase=CROSS,
            player=_player(run),
            images=images if other is others[0] else 0,  # one training for all, as below
            seconds=time.perf_counter() - start,
            peak_memory_mib=peak_memory_mib(race.machine.device.type == "cuda"),
            device=str(race.machine.device),
            precision=race.machine.precision,
            **asdict(meter.spent if other is others[0] else Spent()),
        )
        RecordBook(other.path).append([*records, closing])
        start = time.perf_counter()


def check_own(run: FinishedRun, judged: Sequence[dict[str, Judgement]]) -> None:
    """Check that judges give a run's own fakes the scores that it recorded, to the bit.

    Raises:
        ArenaError: naming the first judge that does not.
    """
    for name in run.declared.techniques:
        for judge_seed, record in run.fresh(name).items():
            recorded, found = read_scores(run.path, record.scores), judged[judge_seed][name].test
            if not all(np.array_equal(*pair) for pair in zip(recorded, found, strict=True)):
                threads = section(run.config, "environment").get("threads")
                raise ArenaError(
                    f"{run.path}: the judges of {name}, trained again, do not give the recorded scores. Cross runs "
                    f"with the version and on the machine that raced them, with as many threads ({threads})"
                )


def _bank(run: FinishedRun) -> Bank:
    path = RunLayout(run.path).bank(run.declared.last_round)
    if not path.is_file():
        raise ArenaError(f"{path}: expected the fakes of the last round, which judges test")
    check_files(run.path, [path])
    return Bank.load(path)


def _player(run: FinishedRun) -> str:
    return f"judges of seed {run.seed}"


def _closed(tested: FinishedRun, judges: FinishedRun) -> bool:
    player = _player(judges)
    return any((each.phase, each.player) == (CROSS, player) for each in tested.of_kind(PhaseRecord))
