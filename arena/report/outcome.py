"""The outcome technique by technique, in words: the rows that the console and the page share."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from arena.answer.findings import Finding
from arena.answer.series import MISSING, Series
from arena.answer.verdict import Verdict
from arena.metrics.interval import Interval
from arena.records.schema import AccessLevel


class Row(NamedTuple):
    """A technique at the verdict's round; an AUC nobody has is a dash."""

    technique: str
    access: AccessLevel
    frozen: str
    retrained: str
    fresh: str
    finding: Finding


def outcome(verdict: Verdict, series: Sequence[Series]) -> list[Row]:
    """One row for every technique the verdict is about."""
    by_name = {its.technique: its for its in series}
    rows = []
    for name, found in verdict.techniques.items():
        its = by_name.get(name)
        frozen, retrained, fresh = (
            MISSING if its is None else its.at(regime, verdict.round) for regime in ("frozen", "retrained", "fresh")
        )
        aucs = in_words(frozen.value), in_words(retrained.value), with_interval(fresh)
        rows.append(Row(name, found.access, *aucs, found.finding))
    return rows


def in_words(value: float) -> str:
    """A figure to three decimals, a dash where there is none."""
    return "–" if math.isnan(value) else f"{value:.3f}"


def with_interval(point: Interval) -> str:
    """An AUC and its 95% interval."""
    return in_words(point.value) if math.isnan(point.low) else f"{point.value:.3f} [{point.low:.3f}, {point.high:.3f}]"
