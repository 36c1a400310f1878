"""``report.html``: one self-contained page, the verdict's sentence first."""

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure

from arena.answer.declared import read_config
from arena.answer.finished import read_run
from arena.answer.guards import Guards
from arena.answer.verdict import Verdict, read_verdict
from arena.figures.mixing import mixing, read_mixing
from arena.figures.payoff import payoff_map
from arena.figures.rounds import read_rounds, rounds_of_images
from arena.figures.series import Series, read_series
from arena.figures.style import NARROW, png
from arena.figures.timeline import timeline
from arena.metrics.frechet import frechet_name
from arena.records import (
    ControlRecord,
    FitnessRecord,
    PhaseRecord,
    QualityRecord,
    Record,
    TechniqueRecord,
    read_records,
    write_atomically,
)
from arena.report.outcome import in_words, outcome
from arena.report.quiz import quiz_section
from arena.report.settings import command, environment, settings

ANSWERS = {"passes_all": "Passes all", "caught": "Caught", "undecided": "Undecided", "invalid": "Invalid"}


@dataclass(frozen=True)
class Picture:
    """A figure as data URIs, for a wide and a narrow window, with its text alternative and its caption."""

    wide: str
    narrow: str
    width: int
    alt: str
    caption: str


class GuardRow(NamedTuple):
    """A guard in words: what is asked, what was found, what is allowed."""

    name: str
    asks: str
    figure: str
    allowed: str
    holds: bool


class Cost(NamedTuple):
    """What the race cost: minutes, images shown, and the largest peak of memory in MiB."""

    minutes: float
    images: int
    peak_memory_mib: float


def write_report(run: Path) -> Path:
    """Write ``report.html`` into the run directory, from what the run wrote; it needs nothing but itself to be read.

    Args:
        run: directory of a finished run.

    Returns:
        The path of the page.

    Raises:
        ArenaError: if the run is not finished, or what is in it cannot be read.
    """
    path = run / "report.html"
    write_atomically(path, page(run).encode())
    return path


def page(run: Path) -> str:
    """The page as HTML; see ``write_report``."""
    config, records, verdict = read_config(run), read_records(run), read_verdict(run)
    series = read_series(run, records)
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
        timeline=_timeline(series, verdict),
        images=_images(run),
        mixing=_mixing(run),
        quiz=quiz_section(read_run(run)),
        payoff=_payoff(records, series),
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


def _timeline(series: Sequence[Series], verdict: Verdict) -> Picture:
    first, last = min((its.rounds[0] for its in series), default=0), verdict.round
    ways = [
        f"{its.title}, from {in_words(its.at('fresh', first).auc)} to {in_words(its.at('fresh', last).auc)}"
        for its in series
    ]
    return _picture(
        timeline(series, verdict.margin),
        timeline(series, verdict.margin, columns=2, panel=NARROW),
        alt=f"Line charts of AUC over rounds {first} to {last}, one a technique. Fresh judges: {'; '.join(ways)}.",
        caption="Every round's fakes first meet the detectors of the round before (frozen), which then retrain on them "
        "(retrained). Only fresh judges, trained from scratch and never attacked, count for the verdict.",
    )


def _payoff(records: Sequence[Record], series: Sequence[Series]) -> Picture | None:
    if max((len(its.rounds) for its in series), default=0) < 2:
        return None  # one cell is no matrix
    return _picture(
        payoff_map(records, series),
        payoff_map(records, series, columns=2, panel=NARROW),
        alt="Matrices of AUC, one a technique: rows are rounds of fakes, columns rounds of detectors.",
        caption="Left of the framed diagonal, detectors meet fakes made after them; right of it, fakes made before. "
        "The lighter, the more fakes are told from reals. A white corner: below 1/2 beyond error, a wrong sign.",
    )


def _images(run: Path) -> Picture | None:
    rows = read_rounds(run)
    if not rows:
        return None
    return _picture(
        rounds_of_images(rows),
        rounds_of_images(rows, columns=8),
        alt=f"Sample images in {len(rows)} rows: {', '.join(name for name, _ in rows)}.",
        caption="Held-out real images, and below them the fakes of every round, not selected; a column follows one z.",
    )


def _mixing(run: Path) -> Picture | None:
    grid = read_mixing(run)
    if grid is None:
        return None
    return _picture(
        mixing(grid),
        mixing(grid, across=1),
        alt=f"Grids of {len(grid.sources)} sources by {len(grid.destinations)} destinations, one a level of style: "
        f"{', '.join(grid.levels)}.",
        caption="Style mixing: one level of styles comes from the image on the left, all others from the image on top. "
        "To look at, not what the judges saw.",
    )


def _picture(wide: Figure, narrow: Figure, alt: str, caption: str) -> Picture:
    width = round(130 * wide.get_size_inches()[0])
    return Picture(_data_uri(wide), _data_uri(narrow), width, alt, caption)


def _data_uri(figure: Figure) -> str:
    return f"data:image/png;base64,{base64.b64encode(png(figure)).decode()}"


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


def _cost(phases: Sequence[PhaseRecord]) -> Cost:
    return Cost(
        minutes=sum(phase.seconds for phase in phases) / 60,
        images=sum(phase.images for phase in phases),
        peak_memory_mib=max((phase.peak_memory_mib for phase in phases), default=0.0),
    )
