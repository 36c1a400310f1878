"""The end of a race on W&B: scores, figures, verdict and artifacts."""

import csv
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from arena.answer.answer import Answer

if TYPE_CHECKING:
    from wandb import Artifact, Run, Table


Artifacts = Literal["all", "report", "none"]
"""Artifacts to keep: ``all`` is report, records with scores, and the last round's checkpoints."""

_STAGING = "WANDB_DATA_DIR"
_TYPES: Mapping[str, type] = {"round": int, "technique": str, "access": str}
"""Types of the columns of scores; all others are AUCs."""


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
