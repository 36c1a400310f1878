"""What each phase adds to the curves over the rounds, and the pictures of a round, as far as the race has come."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from arena.answer.findings import strongest
from arena.answer.series import Series, on_timeline, read_series, score_records, techniques
from arena.config.schema import STACK
from arena.figures.images import rounds_of_images
from arena.figures.payoff import payoff_map
from arena.records.layout import RunLayout
from arena.records.schema import PhaseRecord, QualityRecord, Record, Regime

OVER_ROUNDS = ("auc/*", "strongest/*", "quality/*", "seconds/*", "faces", "payoff")
"""The names of all that is shown over the rounds."""
PANELS = 2
"""Techniques on the payoff map of a race under way: that of a whole battery takes seconds, and is drawn at the end."""
QUALITY = (
    *(
        "kernel_distance",
        "real_kernel_distance",
        "blurred_kernel_distance",
        "frechet_distance",
        "real_frechet_distance",
    ),
    *("precision", "recall", "density", "coverage", "real_precision", "real_recall", "real_density", "real_coverage"),
    *("memorisation", "memorisation_low", "memorisation_high"),
)


def curves(run: Path, records: Sequence[Record]) -> dict[str, float | str]:
    """What the phase that closed last adds to the curves, each figure once, when nothing more can change it.

    The AUCs of fresh judges are those of all seeds together, with the interval the verdict would give them, so they
    wait for the round to be measured. So does what its phases cost.

    Args:
        run: the run directory.
        records: of the race so far, the closing record of a phase last.

    Returns:
        metric -> value; empty where that phase adds nothing.
    """
    closing = _closing(records)
    match closing.phase:
        case "confront":
            return _aucs(records, "frozen", closing.round)
        case "retrain":
            return _aucs(records, "retrained", closing.round)
        case "measure":
            return _judged(run, records, closing.round) | _quality(records, closing.round) | _seconds(records, closing)
        case "respond":
            return _seconds(records, closing)
        case _:
            return {}


def pictures(run: Path, records: Sequence[Record]) -> dict[str, Figure]:
    """The faces of the round and the payoff map so far, once the round is measured.

    Args:
        run: the run directory.
        records: of the race so far, the closing record of a phase last.
    """
    closing = _closing(records)
    if closing.phase != "measure":
        return {}
    series = _series(run, records, closing.round)
    validation = _on_validation(records, closing.round)
    below = strongest({name: aucs for name, aucs in validation.items() if name != STACK})
    shown = {STACK, *([below[0]] if below else [])}
    found = (
        {"payoff": payoff_map(records, [its for its in series if its.technique in shown])}
        if strongest(validation)
        else {}
    )
    layout = RunLayout(run)
    rows = {"reals": (layout.reals, "sample"), f"round {closing.round}": (layout.bank(closing.round), "test")}
    if all(path.is_file() for path, _ in rows.values()):
        found["faces"] = rounds_of_images([(name, np.load(path)[key]) for name, (path, key) in rows.items()])
    return found


def _closing(records: Sequence[Record]) -> PhaseRecord:
    last = records[-1]
    assert isinstance(last, PhaseRecord)
    return last


def _aucs(records: Sequence[Record], regime: Regime, round_index: int) -> dict[str, float | str]:
    found = {name: on_timeline(records, name, regime, round_index) for name in techniques(records)}
    return {f"auc/{regime}/{name}": fmean(test.auc for test in tests) for name, tests in found.items() if tests}


def _judged(run: Path, records: Sequence[Record], round_index: int) -> dict[str, float | str]:
    """What the fresh judges of each technique found together, and which is the strongest."""
    fresh = {its.technique: its.points["fresh"] for its in _series(run, records, round_index)}
    found: dict[str, float | str] = {
        f"auc/fresh/{name}": at[round_index].value for name, at in fresh.items() if round_index in at
    }
    chosen = strongest(_on_validation(records, round_index))
    if chosen is not None:
        point = fresh[chosen[0]][round_index]
        found |= {"strongest/technique": chosen[0], "strongest/auc": point.value}
        found |= {"strongest/low": point.low, "strongest/high": point.high}
    return found


def _series(run: Path, records: Sequence[Record], round_index: int) -> list[Series]:
    """Of that round alone: what a round costs to show must not grow with the race."""
    return read_series(run, [record for record in score_records(records) if record.generator_round == round_index])


def _on_validation(records: Sequence[Record], round_index: int) -> Mapping[str, Sequence[float | None]]:
    """Technique -> validation AUC of its fresh judges: by it the strongest is chosen, as the verdict does."""
    return {
        name: [test.validation_auc for test in on_timeline(records, name, "fresh", round_index)]
        for name in techniques(records)
    }


def _quality(records: Sequence[Record], round_index: int) -> dict[str, float | str]:
    measured = [record for record in records if isinstance(record, QualityRecord) and record.round == round_index]
    figures = {f"quality/{name}": getattr(record, name) for record in measured for name in QUALITY}
    return {name: value for name, value in figures.items() if value is not None}


def _seconds(records: Sequence[Record], closing: PhaseRecord) -> dict[str, float | str]:
    """Seconds of each phase of the round so far, players together, and of the whole race."""
    phases = [record for record in records if isinstance(record, PhaseRecord)]
    of_round = sorted((record for record in phases if record.round == closing.round), key=lambda its: its.phase)
    found: dict[str, float | str] = {"seconds/race": sum(record.seconds for record in phases)}
    for phase, its in groupby(of_round, key=lambda record: record.phase):
        if (phase == "respond") == (closing.phase == "respond"):
            found[f"seconds/{phase}"] = sum(record.seconds for record in its)
    return found
