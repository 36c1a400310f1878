"""``report.html``: one self-contained page, the verdict's sentence first."""

import dataclasses
import math
import shlex
from collections.abc import Mapping
from pathlib import Path

from arena.answer.answer import Answer
from arena.answer.attack_sanity import WARNING
from arena.answer.distance import distance_in_words
from arena.answer.guards import Guard, Guards
from arena.answer.limit import limits_in_words
from arena.answer.spending import spending
from arena.answer.tiers import flipped_in_words, tier_rows
from arena.answer.verdict import floor_in_words
from arena.config.saved import flatten
from arena.core.files import write_atomically
from arena.figures.tables import game_table, in_words, outcome
from arena.metrics.distances import frechet_name
from arena.records.schema import ControlRecord, FitnessRecord, PhaseRecord, QualityRecord, TechniqueRecord
from arena.report.pictures import image_pictures, limit_pictures, payoff_picture, timeline_picture
from arena.report.quiz import quiz_section, render

ANSWERS = {"passes_all": "Passes all", "caught": "Caught", "undecided": "Undecided", "invalid": "Invalid"}
AT_LEAST = ("variety", "judges")
"""Guards that hold above their limit. The others hold below it."""


def write_report(answer: Answer) -> Path:
    """Write ``report.html`` into the directory of a run, and return its path; the page loads no other file.

    Raises:
        ArenaError: if a file of the run cannot be read.
    """
    run, verdict = answer.run, answer.verdict
    fitness, quality, phases = run.of_kind(FitnessRecord), run.of_kind(QualityRecord), run.of_kind(PhaseRecord)
    distance = [distance_in_words(verdict.distance)] if verdict.distance else []
    recorded = run.config.get("environment")
    recorded = recorded if isinstance(recorded, Mapping) else {}
    page = render(
        "template.html",
        name=run.path.resolve().name,
        answer=ANSWERS[verdict.answer],
        verdict=verdict,
        rows=outcome(verdict, answer.series),
        tiers=tier_rows(verdict.tiers),
        flipped=flipped_in_words(verdict.tiers),
        floor=floor_in_words(verdict.strongest),
        timeline=timeline_picture(answer),
        images=list(image_pictures(answer)),
        quiz=quiz_section(run),
        limits=list(limit_pictures(answer)),
        limits_in_words=[*limits_in_words(answer.limits), *distance],
        payoff=payoff_picture(answer),
        game=game_table(answer.games) if answer.games else [],
        guards=_guards(verdict.guards),
        quality=quality,
        frechet=frechet_name(quality[-1].features) if quality else "",
        with_error=_with_error,
        controls=run.of_kind(ControlRecord),
        battery=run.of_kind(TechniqueRecord),
        planted=[record for record in fitness if record.artefact is not None],
        shares=[record for record in fitness if record.artefact is None],
        attack=[(line, line.startswith(WARNING)) for line in answer.attack],
        spending=spending(run),
        minutes=sum(phase.seconds for phase in phases) / 60,
        images_shown=sum(phase.images for phase in phases),
        peak_memory_mib=max((phase.peak_memory_mib for phase in phases), default=0.0),
        command=_command(recorded.get("overrides")),
        settings=_settings({key: run.config[key] for key in run.config if key not in ("declared", "environment")}),
        environment=_settings(recorded),
        declared=run.config.get("declared"),
        number=in_words,
    )
    path = run.path / "report.html"
    write_atomically(path, page.encode())
    return path


def _guards(guards: Guards) -> list[tuple[str, str, str, Guard]]:
    """Return a row for each guard: its name, its value, the values allowed, and the guard itself."""
    rows = []
    for field in dataclasses.fields(guards):
        guard = getattr(guards, field.name)
        if guard is not None:
            value = f"{guard.figure:.3g}" if math.isfinite(guard.figure) else "unknown"
            side = "at least" if field.name in AT_LEAST else "at most"
            rows.append((field.name, value, f"{side} {guard.threshold:g}", guard))
    return rows


def _with_error(value: float | None, error: float | None) -> str:
    return "–" if value is None or error is None else f"{value:.2f} ± {error:.2f}"


def _settings(config: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return dotted keys with their values as text."""
    return [(key, "null" if value is None else str(value)) for key, value in flatten(config)]


def _command(overrides: object) -> str | None:
    """Return the command that runs the race again; None where its overrides were not recorded."""
    return shlex.join(["arena", *map(str, overrides)]) if isinstance(overrides, list) else None
