"""Rows of the outcome, technique by technique, which the console and the page share."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from arena.answer.findings import Finding
from arena.answer.series import MISSING, Series
from arena.answer.verdict import Verdict
from arena.metrics.interval import Interval


class Row(NamedTuple):
    """A technique at the verdict's round; an AUC that was not measured is a dash."""

    technique: str
    access: str
    frozen: str
    retrained: str
    fresh: str
    finding: Finding


def outcome(verdict: Verdict, series: Sequence[Series]) -> list[Row]:
    """Return one row for every technique of the verdict."""
    by_name = {one.technique: one for one in series}
    rows = []
    for name, test in verdict.techniques.items():
        frozen, retrained, fresh = (
            by_name[name].at(regime, verdict.round) if name in by_name else MISSING
            for regime in ("frozen", "retrained", "fresh")
        )
        aucs = in_words(frozen.value), in_words(retrained.value), with_interval(fresh)
        rows.append(Row(name, test.access, *aucs, test.finding))
    return rows


def in_words(value: float) -> str:
    """Return a number to three decimals, or a dash for NaN.

    >>> in_words(0.5), in_words(math.nan)
    ('0.500', '–')
    """
    return "–" if math.isnan(value) else f"{value:.3f}"


def with_interval(auc: Interval) -> str:
    """Return an AUC with its 95% interval.

    >>> with_interval(Interval(0.7, 0.6, 0.8))
    '0.700 [0.600, 0.800]'
    """
    return in_words(auc.value) if math.isnan(auc.low) else f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
