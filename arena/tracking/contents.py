"""Contents of a W&B run: metrics and pictures of each round, then the outcome of the race and its artifacts."""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Literal

from matplotlib.figure import Figure

from arena.answer.answer import Answer
from arena.answer.findings import strongest
from arena.answer.series import Series, on_timeline, read_series, score_records, techniques
from arena.config.schema import STACK
from arena.figures.images import REALS, read_images, rounds_of_images
from arena.figures.payoff import payoff_map
from arena.records.layout import RunLayout
from arena.records.schema import PhaseRecord, QualityRecord, Record, Regime

if TYPE_CHECKING:
    from wandb import Artifact, Run, Table

Artifacts = Literal["all", "report", "none"]
"""Artifacts to keep: ``all`` is report, records with scores, and the last round's checkpoints."""
Metrics = dict[str, float | str]
OVER_ROUNDS = ("auc/*", "strongest/*", "quality/*", "seconds/*", "faces", "payoff")
"""Names of the metrics and pictures shown over the rounds."""
_COMPARED = ("kernel_distance", "frechet_distance", "precision", "recall", "density", "coverage")
_QUALITY = (*_COMPARED, *(f"real_{name}" for name in _COMPARED), "unit_kernel_distance")
_QUALITY += ("memorisation", "memorisation_low", "memorisation_high", "near_copies", "exact_copies", "copied_at_most")
_QUALITY += ("class_distance", "unrecognised")
_TYPES: Mapping[str, type] = {"round": int, "technique": str, "access": str}
"""Types of the columns of scores; all others are AUCs."""
_STAGING = "WANDB_DATA_DIR"


def curves(run: Path, records: Sequence[Record]) -> Metrics:
    """Return the metrics that the last closed phase adds, each once, when no later phase can change it.

    The AUCs of fresh judges are those of all seeds together, with the interval of the verdict, so they wait for the
    round to be measured. So do the seconds of its phases.

    Args:
        run: the run directory.
        records: of the race so far, the closing record of a phase last.
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

    The arguments are those of ``curves``.
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
        rows = [(REALS, read_images(reals, "sample")), (f"round {closing.round}", read_images(fakes, "test"))]
        figures["faces"] = rounds_of_images(rows)
    return figures


def _closing(records: Sequence[Record]) -> PhaseRecord:
    last = records[-1]
    assert isinstance(last, PhaseRecord)
    return last


def _aucs(records: Sequence[Record], regime: Regime, round_index: int) -> Metrics:
    tests = {name: on_timeline(records, name, regime, round_index) for name in techniques(records)}
    return {f"auc/{regime}/{name}": fmean(test.auc for test in each) for name, each in tests.items() if each}


def _judged(run: Path, records: Sequence[Record], round_index: int) -> Metrics:
    """Return the AUC of each technique's fresh judges together, and the strongest technique."""
    fresh = {one.technique: one for one in _series(run, records, round_index)}
    metrics: Metrics = {
        f"auc/fresh/{name}": one.at("fresh", round_index).value
        for name, one in fresh.items()
        if round_index in one.points["fresh"]
    }
    chosen = strongest(_validation(records, round_index))
    if chosen is not None:
        auc = fresh[chosen[0]].at("fresh", round_index)
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


def _quality(records: Sequence[Record], round_index: int) -> Metrics:
    measured = [record for record in records if isinstance(record, QualityRecord) and record.round == round_index]
    metrics = {f"quality/{name}": getattr(record, name) for record in measured for name in _QUALITY}
    return {name: value for name, value in metrics.items() if value is not None}


def _seconds(records: Sequence[Record], closing: PhaseRecord) -> Metrics:
    """Return the seconds of each phase of the round so far, players together, and of the whole race."""
    phases = [record for record in records if isinstance(record, PhaseRecord)]
    of_round = [record for record in phases if record.round == closing.round]
    metrics: Metrics = {"seconds/race": sum(record.seconds for record in phases)}
    for phase in dict.fromkeys(record.phase for record in of_round):
        if (phase == "respond") == (closing.phase == "respond"):
            metrics[f"seconds/{phase}"] = sum(record.seconds for record in of_round if record.phase == phase)
    return metrics


# --- the outcome ------------------------------------------------------------------------------------------------------


def show_outcome(tracked: "Run", answer: Answer, artifacts: Artifacts) -> None:
    """Show the table of scores, the figures and the verdict, and keep the artifacts.

    Args:
        tracked: the W&B run.
        answer: of the run, its figures drawn and its verdict and report written.
        artifacts: which to keep.
    """
    import wandb

    run, verdict = answer.run.path, answer.verdict.as_json()
    with _staged_in(run / "wandb"):
        shown: dict[str, object] = {"scores": scores(run)}
        shown |= {f"figures/{path.stem}": wandb.Image(str(path)) for path in sorted((run / "figures").glob("*.png"))}
        tracked.log(shown)
        tracked.summary.update(flat(verdict))
        for artifact in kept(run, tracked.id, verdict, artifacts):
            aliases = ["latest", f"round_{answer.verdict.round:02d}", answer.verdict.answer]
            tracked.log_artifact(artifact, aliases=aliases)


def scores(run: Path) -> "Table":
    """Return ``figures/scores.csv`` with typed columns, equal in every run, so that W&B joins their rows."""
    import wandb

    with (run / "figures" / "scores.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    types = [_TYPES.get(name, float) for name in header]
    return wandb.Table(
        columns=[*header],
        data=[[kind(cell) if cell else None for cell, kind in zip(row, types, strict=True)] for row in rows],
        dtype=types,
        optional=True,
    )


def flat(verdict: Mapping[str, object], prefix: str = "verdict") -> dict[str, object]:
    """Return one key a number, such as ``verdict/guards/quality/figure``, by which W&B sorts and filters runs.

    Lists are joined to a text, and nulls left out.
    """
    entries: dict[str, object] = {}
    for key, value in verdict.items():
        name = f"{prefix}/{key}"
        if isinstance(value, Mapping):
            entries |= flat(value, name)
        elif isinstance(value, list | tuple):
            entries[name] = "; ".join(map(str, value))
        elif value is not None:
            entries[name] = value
    return entries


def kept(run: Path, identity: str, verdict: Mapping[str, object], artifacts: Artifacts) -> Iterator["Artifact"]:
    """Yield the artifacts of a finished run, each file under its path in the run directory.

    Args:
        run: the run directory.
        identity: of the W&B run, the end of their names.
        verdict: as written, for their descriptions.
        artifacts: which to keep.
    """
    import wandb

    last = f"checkpoints/round_{verdict['round']:02d}"
    files = {
        "report": ["report.html"],
        "records": ["config.yaml", "verdict.json", "records.jsonl", "scores/*.npz"],
        "checkpoints": ["config.yaml", f"{last}/gan/generator.safetensors", f"{last}/detectors/*.safetensors"],
    }
    names = {"all": ("report", "records", "checkpoints"), "report": ("report",), "none": ()}[artifacts]
    for name in names:
        paths = sorted(path for pattern in files[name] for path in run.glob(pattern))
        if not paths:
            continue
        artifact = wandb.Artifact(
            f"{name}-{identity}",
            type="model" if name == "checkpoints" else name,
            description=str(verdict["sentence"]),
            metadata={"answer": verdict["answer"], "round": verdict["round"]},
        )
        for path in paths:
            # W&B copies files that a command may write again, and uploads the others from where they are.
            policy = "mutable" if path.name in ("report.html", "verdict.json") else "immutable"
            artifact.add_file(str(path), str(path.relative_to(run)), skip_cache=True, policy=policy)
        yield artifact


@contextmanager
def _staged_in(folder: Path) -> Iterator[None]:
    """Keep W&B's copies with the run instead of the user's home; the user's own setting has priority."""
    given = os.environ.get(_STAGING)
    os.environ[_STAGING] = given or str(folder.resolve())
    try:
        yield
    finally:
        if given is None:
            del os.environ[_STAGING]
