"""Curves over the rounds and pictures of a round, as far as a race has come."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from statistics import fmean

from matplotlib.figure import Figure

from arena.answer.findings import strongest
from arena.answer.series import Series, on_timeline, read_series, score_records, techniques
from arena.config.schema import STACK
from arena.figures.images import read_images, rounds_of_images
from arena.figures.payoff import payoff_map
from arena.records.layout import RunLayout
from arena.records.schema import PhaseRecord, QualityRecord, Record, Regime

OVER_ROUNDS = ("auc/*", "strongest/*", "quality/*", "seconds/*", "faces", "payoff")
"""Names of the metrics and pictures shown over the rounds."""
DISTANCES = ("kernel_distance", "frechet_distance")
SHARES = ("precision", "recall", "density", "coverage")
QUALITY = (*DISTANCES, *SHARES, *(f"real_{name}" for name in (*DISTANCES, *SHARES)), "blurred_kernel_distance")
QUALITY += ("memorisation", "memorisation_low", "memorisation_high")


def curves(run: Path, records: Sequence[Record]) -> dict[str, float | str]:
    """Return the metrics that the last closed phase adds, each once, when no later phase can change it.

    The AUCs of fresh judges are those of all seeds together, with the interval of the verdict, so they wait for the
    round to be measured. So do the seconds of its phases.

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
    """Return the faces of the round and the payoff map so far, once the round is measured.

    The map shows the stack and the strongest other technique only, since that of a whole battery takes seconds to draw.

    Args:
        run: the run directory.
        records: of the race so far, the closing record of a phase last.
    """
    closing = _closing(records)
    if closing.phase != "measure":
        return {}
    figures = {}
    validation = _validation(records, closing.round)
    if strongest(validation):
        below = strongest({name: aucs for name, aucs in validation.items() if name != STACK})
        shown = {STACK, *([below[0]] if below else [])}
        series = [one for one in _series(run, records, closing.round) if one.technique in shown]
        figures["payoff"] = payoff_map(records, series)
    reals, fakes = RunLayout(run).reals, RunLayout(run).bank(closing.round)
    if reals.is_file() and fakes.is_file():
        rows = [("reals", read_images(reals, "sample")), (f"round {closing.round}", read_images(fakes, "test"))]
        figures["faces"] = rounds_of_images(rows)
    return figures


def _closing(records: Sequence[Record]) -> PhaseRecord:
    last = records[-1]
    assert isinstance(last, PhaseRecord)
    return last


def _aucs(records: Sequence[Record], regime: Regime, round_index: int) -> dict[str, float | str]:
    tests = {name: on_timeline(records, name, regime, round_index) for name in techniques(records)}
    return {f"auc/{regime}/{name}": fmean(test.auc for test in each) for name, each in tests.items() if each}


def _judged(run: Path, records: Sequence[Record], round_index: int) -> dict[str, float | str]:
    """Return the AUC of each technique's fresh judges together, and the strongest technique."""
    fresh = {one.technique: one.points["fresh"] for one in _series(run, records, round_index)}
    metrics: dict[str, float | str] = {
        f"auc/fresh/{name}": aucs[round_index].value for name, aucs in fresh.items() if round_index in aucs
    }
    chosen = strongest(_validation(records, round_index))
    if chosen is not None:
        auc = fresh[chosen[0]][round_index]
        metrics |= {"strongest/technique": chosen[0], "strongest/auc": auc.value}
        metrics |= {"strongest/low": auc.low, "strongest/high": auc.high}
    return metrics


def _series(run: Path, records: Sequence[Record], round_index: int) -> list[Series]:
    """Return the series of that round alone, so that its cost does not grow with the race."""
    return read_series(run, [record for record in score_records(records) if record.generator_round == round_index])


def _validation(records: Sequence[Record], round_index: int) -> Mapping[str, Sequence[float | None]]:
    """Return technique -> validation AUC of its fresh judges, by which the verdict chooses the strongest."""
    return {
        name: [test.validation_auc for test in on_timeline(records, name, "fresh", round_index)]
        for name in techniques(records)
    }


def _quality(records: Sequence[Record], round_index: int) -> dict[str, float | str]:
    measured = [record for record in records if isinstance(record, QualityRecord) and record.round == round_index]
    metrics = {f"quality/{name}": getattr(record, name) for record in measured for name in QUALITY}
    return {name: value for name, value in metrics.items() if value is not None}


def _seconds(records: Sequence[Record], closing: PhaseRecord) -> dict[str, float | str]:
    """Return the seconds of each phase of the round so far, players together, and of the whole race."""
    phases = [record for record in records if isinstance(record, PhaseRecord)]
    of_round = sorted((record for record in phases if record.round == closing.round), key=lambda record: record.phase)
    metrics: dict[str, float | str] = {"seconds/race": sum(record.seconds for record in phases)}
    for phase, group in groupby(of_round, key=lambda record: record.phase):
        if (phase == "respond") == (closing.phase == "respond"):
            metrics[f"seconds/{phase}"] = sum(record.seconds for record in group)
    return metrics
