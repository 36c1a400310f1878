"""``python -m arena.answer RUN... [--json]``: one verdict per condition, and the paired contrasts with its controls.

``--human FILE...`` takes in answers to the quiz of report.html as the technique "human", for this call alone.
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from arena.answer.contrasts import Contrast, contrasts, control_difference
from arena.answer.humans import people, sort_answers
from arena.answer.limit.axes import axes
from arena.answer.limit.limit import TechniqueLimit, limits
from arena.answer.runs import Condition, conditions, find_runs
from arena.answer.sentences import axis_in_words, distance_in_words, limits_in_words
from arena.answer.verdict import Verdict, verdict
from arena.core.errors import ArenaError
from arena.core.progress import for_stdout
from arena.report.console import contrasts_table, techniques_table


@dataclass(frozen=True)
class ConditionAnswer:
    """A condition's verdict, its contrasts by control, and its limits beside theirs."""

    condition: Condition
    verdict: Verdict
    contrasts: dict[str, list[Contrast]]
    limits: dict[str, TechniqueLimit]


def answers(places: Sequence[Path], human: Sequence[Path] = ()) -> tuple[list[ConditionAnswer], list[str]]:
    """Read, group, judge and compare.

    Args:
        places: run directories, or folders that hold some.
        human: files of answers to the quizzes of these runs.

    Returns:
        One answer per condition, and a line for each run passed over.

    Raises:
        ArenaError: one line, if there is no finished run, one of them is altered, or a file of answers is not of them.
    """
    runs, passed_over = find_runs(places)
    groups = conditions(runs)
    answered = sort_answers(human, runs) if human else {}
    levelled = limits(groups)
    found = []
    for condition in groups:
        compared = {name: contrasts(condition, control) for name, control in condition.controls(groups).items()}
        differences = {name: control_difference(compared.get(name, [])) for name in ("none", "placebo")}
        its = verdict(
            condition.runs,
            differences if any(differences.values()) else None,
            people(condition.runs, answered),
            levelled[condition.name],
        )
        found.append(ConditionAnswer(condition, its, compared, levelled[condition.name]))
    return found, passed_over


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the answers; 0, or 2 with one line on stderr."""
    parser = argparse.ArgumentParser(prog="python -m arena.answer", description=__doc__)
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="a run directory, or a folder that holds some"
    )
    parser.add_argument("--json", action="store_true", help="JSON on stdout and nothing else")
    parser.add_argument(
        "--human",
        nargs="+",
        action="extend",
        default=[],
        type=Path,
        metavar="FILE",
        help="answers to the quiz in report.html, as its page saved them",
    )
    options = parser.parse_args(arguments)
    try:
        found, passed_over = answers(options.runs, options.human)
    except ArenaError as error:
        print(error, file=sys.stderr)
        return 2
    for line in passed_over:
        print(f"passed over: {line}", file=sys.stderr)
    if options.json:
        print(json.dumps([_as_json(answer) for answer in found], indent=2, allow_nan=False))
    else:
        console = for_stdout()
        for answer in found:
            show(answer, console)
        for axis in axes([answer.condition for answer in found]):
            console.print(axis_in_words(axis), soft_wrap=True, highlight=False)
    return 0


def show(answer: ConditionAnswer, console: Console) -> None:
    """The verdict of a condition as a table of techniques, its contrasts, and the sentence."""
    runs = answer.condition.runs
    seeds = ", ".join(str(run.seed) for run in runs)
    console.rule(f"{answer.condition.name}: {len(runs)} run{'s' if len(runs) > 1 else ''} (seed {seeds})")
    console.print(techniques_table(answer.verdict))
    for control, found in answer.contrasts.items():
        if found:
            console.print(contrasts_table(control, found))
    console.print(answer.verdict.sentence, soft_wrap=True)
    for line in limits_in_words(answer.limits):
        console.print(line, soft_wrap=True, highlight=False)
    if answer.verdict.distance is not None:
        console.print(distance_in_words(answer.verdict.distance), soft_wrap=True, highlight=False)
    for fault in answer.verdict.faults:
        console.print(f"flagged, and left out of contrasts: {fault}", soft_wrap=True)
    console.print()


def _as_json(answer: ConditionAnswer) -> dict[str, object]:
    return {
        "condition": answer.condition.name,
        "runs": [str(run.path) for run in answer.condition.runs],
        "verdict": json.loads(answer.verdict.to_json()),
        "contrasts": {
            control: [dataclasses.asdict(its) for its in found] for control, found in answer.contrasts.items()
        },
        "limits": {kind: _limit_as_json(its) for kind, its in answer.limits.items()},
    }


def _limit_as_json(found: TechniqueLimit) -> dict[str, object]:
    less = {name: control.difference and control.difference.limit for name, control in found.controls.items()}
    return {
        "limit": found.its.limit and dataclasses.asdict(found.its.limit),
        "reason": found.its.reason,
        "less": {name: limit and dataclasses.asdict(limit) for name, limit in less.items()},
        "floor": found.floor and dataclasses.asdict(found.floor),
    }


if __name__ == "__main__":
    sys.exit(main())
