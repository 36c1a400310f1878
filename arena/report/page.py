"""``report.html``: one self-contained page, the verdict's sentence first."""

import math
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from arena.answer.answer import Answer
from arena.answer.verdict import Guards
from arena.answer.distance import distance_in_words
from arena.answer.limit import limits_in_words
from arena.config.saved import flatten
from arena.core.files import write_atomically
from arena.figures.tables import game_table
from arena.metrics.frechet import frechet_name
from arena.records.schema import ControlRecord, FitnessRecord, PhaseRecord, QualityRecord, TechniqueRecord
from arena.report.outcome import in_words, outcome
from arena.report.pictures import image_pictures, limit_pictures, payoff_picture, timeline_picture
from arena.report.quiz import quiz_section

ANSWERS = {"passes_all": "Passes all", "caught": "Caught", "undecided": "Undecided", "invalid": "Invalid"}
GUARDS = {
    "quality": ("kernel distance to reals, divided by that of reals blurred to half their resolution", "at most"),
    "variety": ("recall and coverage, divided by those of held-out reals", "at least"),
    "memorisation": ("share of fakes nearer to the training set than to as many other reals (chance 0.5)", "at most"),
    "judges": ("share of the techniques whose judges are fit", "at least"),
    "provenance": ("differences between the files of reals and of fakes", "at most"),
}
"""Guard -> the measured quantity, and on which side of the limit the guard holds."""


class GuardRow(NamedTuple):
    """A guard in words: the quantity, its value, and the values allowed."""

    name: str
    quantity: str
    value: str
    allowed: str
    holds: bool


def write_report(answer: Answer) -> Path:
    """Write ``report.html`` into the run directory; the page loads no other file.

    Args:
        answer: of one run.

    Returns:
        The path of the page.

    Raises:
        ArenaError: if a file of the run cannot be read.
    """
    path = answer.run.path / "report.html"
    write_atomically(path, page(answer).encode())
    return path


def page(answer: Answer) -> str:
    """Return the page as HTML; see ``write_report``."""
    run, verdict = answer.run, answer.verdict
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("arena.report").joinpath("template.html").read_text(encoding="utf-8"))
    fitness = [record for record in run.records if isinstance(record, FitnessRecord)]
    quality = [record for record in run.records if isinstance(record, QualityRecord)]
    phases = [record for record in run.records if isinstance(record, PhaseRecord)]
    recorded = run.config.get("environment")
    recorded = recorded if isinstance(recorded, Mapping) else {}
    return template.render(
        name=run.path.resolve().name,
        answer=ANSWERS[verdict.answer],
        verdict=verdict,
        rows=outcome(verdict, answer.series),
        timeline=timeline_picture(answer),
        images=list(image_pictures(answer)),
        quiz=quiz_section(run),
        limits=list(limit_pictures(answer)),
        limits_in_words=[
            *limits_in_words(answer.limits),
            *([distance_in_words(verdict.distance)] if verdict.distance else []),
        ],
        payoff=payoff_picture(answer),
        game=game_table(answer.games) if answer.games else [],
        guards=_guards(verdict.guards),
        quality=quality,
        frechet=frechet_name(quality[-1].features) if quality else "",
        with_error=_with_error,
        controls=[record for record in run.records if isinstance(record, ControlRecord)],
        battery=[record for record in run.records if isinstance(record, TechniqueRecord)],
        planted=[record for record in fitness if record.artefact is not None],
        shares=[record for record in fitness if record.artefact is None],
        minutes=sum(phase.seconds for phase in phases) / 60,
        images_shown=sum(phase.images for phase in phases),
        peak_memory_mib=max((phase.peak_memory_mib for phase in phases), default=0.0),
        command=_command(recorded.get("overrides")),
        settings=_settings({key: run.config[key] for key in run.config if key not in ("declared", "environment")}),
        environment=_settings(recorded),
        declared=run.config.get("declared"),
        number=in_words,
    )


def _guards(guards: Guards) -> list[GuardRow]:
    rows = []
    for name, (quantity, side) in GUARDS.items():
        guard = getattr(guards, name)
        value = f"{guard.figure:.2f}" if math.isfinite(guard.figure) else "unknown"
        rows.append(GuardRow(name, quantity, value, f"{side} {guard.threshold:g}", guard.holds))
    return rows


def _with_error(value: float | None, error: float | None) -> str:
    return "–" if value is None or error is None else f"{value:.2f} ± {error:.2f}"


def _settings(config: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return dotted keys with their values as text."""
    return [(key, "null" if value is None else str(value)) for key, value in flatten(config)]


def _command(overrides: object) -> str | None:
    """Return the command that runs the race again; None where its overrides were not recorded."""
    return shlex.join(["arena", *map(str, overrides)]) if isinstance(overrides, list) else None
