"""``report.html``: one self-contained page, the verdict's sentence first."""

import math
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from arena.answer.answer import Answer
from arena.answer.findings import Guards
from arena.answer.sentences import distance_in_words, limits_in_words
from arena.core.files import write_atomically
from arena.figures.tables import game_table
from arena.metrics.frechet import frechet_name
from arena.records.schema import ControlRecord, FitnessRecord, PhaseRecord, QualityRecord, TechniqueRecord
from arena.report.outcome import in_words, outcome
from arena.report.pictures import (
    bags_picture,
    images_picture,
    limit_picture,
    margins_picture,
    mixing_picture,
    payoff_picture,
    timeline_picture,
)
from arena.report.quiz import quiz_section
from arena.report.settings import command, environment, settings

ANSWERS = {"passes_all": "Passes all", "caught": "Caught", "undecided": "Undecided", "invalid": "Invalid"}


class GuardRow(NamedTuple):
    """A guard in words: what is asked, what was found, what is allowed."""

    name: str
    asks: str
    figure: str
    allowed: str
    holds: bool


class PhaseCost(NamedTuple):
    """What the race cost: minutes, images shown, and the largest peak of memory in MiB."""

    minutes: float
    images: int
    peak_memory_mib: float


def write_report(answer: Answer) -> Path:
    """Write ``report.html`` into the run directory. The page needs nothing but itself to be read.

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
    """The page as HTML; see ``write_report``."""
    finished, verdict, series, distances = answer.run, answer.verdict, answer.series, answer.distances
    run, config, records = finished.path, finished.config, finished.records
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(files("arena.report").joinpath("template.html").read_text(encoding="utf-8"))
    fitness = [record for record in records if isinstance(record, FitnessRecord)]
    quality = [record for record in records if isinstance(record, QualityRecord)]
    return template.render(
        name=run.resolve().name,
        answer=ANSWERS[verdict.answer],
        verdict=verdict,
        rows=outcome(verdict, series),
        timeline=timeline_picture(series, verdict),
        images=images_picture(run),
        mixing=mixing_picture(run),
        quiz=quiz_section(finished),
        limit=limit_picture(answer.limits, verdict),
        distance=[bags_picture(distances, verdict), margins_picture(distances, verdict)],
        said=[
            *limits_in_words(answer.limits),
            *([distance_in_words(verdict.distance)] if verdict.distance else []),
        ],
        payoff=payoff_picture(records, series),
        game=game_table(answer.games) if answer.games else [],
        guards=_guards(verdict.guards),
        quality=quality,
        frechet=frechet_name(quality[-1].features) if quality else "",
        with_error=_with_error,
        controls=[record for record in records if isinstance(record, ControlRecord)],
        battery=[record for record in records if isinstance(record, TechniqueRecord)],
        planted=[record for record in fitness if record.artefact is not None],
        shares=[record for record in fitness if record.artefact is None],
        cost=_cost([record for record in records if isinstance(record, PhaseRecord)]),
        command=command(config),
        settings=settings(config),
        environment=environment(config),
        declared=config.get("declared"),
        number=in_words,
    )


def _guards(guards: Guards) -> list[GuardRow]:
    asked = {
        "quality": ("kernel distance to reals, against that of reals blurred to half their resolution", "at most"),
        "variety": ("recall and coverage, as a share of what reals show of each other", "at least"),
        "memorisation": (
            "share of fakes nearer to the training set than to as many other reals (chance 0.5)",
            "at most",
        ),
        "judges": ("share of the techniques whose judges are fit to judge", "at least"),
        "provenance": ("differences between the files of reals and of fakes", "at most"),
    }
    rows = []
    for name, (asks, bound) in asked.items():
        guard = getattr(guards, name)
        figure = f"{guard.figure:.2f}" if math.isfinite(guard.figure) else "unknown"
        rows.append(GuardRow(name, asks, figure, f"{bound} {guard.threshold:g}", guard.holds))
    return rows


def _with_error(value: float | None, error: float | None) -> str:
    return "–" if value is None or error is None else f"{value:.2f} ± {error:.2f}"


def _cost(phases: Sequence[PhaseRecord]) -> PhaseCost:
    return PhaseCost(
        minutes=sum(phase.seconds for phase in phases) / 60,
        images=sum(phase.images for phase in phases),
        peak_memory_mib=max((phase.peak_memory_mib for phase in phases), default=0.0),
    )
