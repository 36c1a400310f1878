"""The pictures of the page: each figure for a wide and a narrow window, with words in its place and below it."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from arena.answer.limit.distance import Distance
from arena.answer.limit.limit import TechniqueLimit
from arena.answer.sentences import limits_in_words
from arena.answer.series import Series
from arena.answer.verdict import Verdict
from arena.figures.axes import NARROW, highlighted, png
from arena.figures.bags import bags
from arena.figures.images import read_rounds, rounds_of_images
from arena.figures.limit import limit_by_round
from arena.figures.margins import margin_curves
from arena.figures.mixing import mixing, read_mixing
from arena.figures.payoff import payoff_map
from arena.figures.timeline import timeline
from arena.records.schema import Record
from arena.report.outcome import in_words


@dataclass(frozen=True)
class Picture:
    """A figure as data URIs, for a wide and a narrow window, with its text alternative and its caption."""

    wide: str
    narrow: str
    width: int
    alt: str
    caption: str


def timeline_picture(series: Sequence[Series], verdict: Verdict) -> Picture:
    """The timeline."""
    first, last = min((its.rounds[0] for its in series), default=0), verdict.round
    ways = [
        f"{its.title}, from {in_words(its.at('fresh', first).value)} to {in_words(its.at('fresh', last).value)}"
        for its in series
    ]
    return _picture(
        timeline(series, verdict.margin),
        timeline(series, verdict.margin, columns=2, panel=NARROW),
        alt=f"Line charts of AUC over rounds {first} to {last}, one a technique. Fresh judges: {'; '.join(ways)}.",
        caption="Every round's fakes first meet the detectors of the round before (frozen), which then retrain on them "
        "(retrained). Only fresh judges, trained from scratch and never attacked, count for the verdict.",
    )


def limit_picture(found: Mapping[str, TechniqueLimit], verdict: Verdict) -> Picture | None:
    """The limit by round; None for a single round."""
    if max((len(its.fitted.curve.x) for its in found.values()), default=0) < 2:
        return None  # one point is no curve
    wide, narrow = limit_by_round(found, verdict.margin), limit_by_round(dict([*found.items()][-1:]), verdict.margin)
    return _picture(
        wide,
        narrow,
        alt=f"AUC of fresh judges by round, with the laws fitted to it. {' '.join(limits_in_words(found))}",
        caption="Where detectability levels off, if it does: the band is all that either law allows. It supposes that "
        "a third of the way has been seen; no data can tell a flat curve from one about to move.",
    )


def bags_picture(distances: Sequence[Distance], verdict: Verdict) -> Picture | None:
    """Images judged together; None where no judge left scores of single images."""
    if not any(its.bags for its in distances):
        return None
    names = highlighted(verdict)
    return _picture(
        bags(distances, names),
        bags(distances, names, panel=NARROW),
        alt="Share of right decisions and AUC by the number of images from one source that are judged together.",
        caption="Who makes one fake makes many: the more images from one source, the surer. Measured on bags of "
        "held-out images; dashed is what Chernoff's bound promises.",
    )


def margins_picture(distances: Sequence[Distance], verdict: Verdict) -> Picture | None:
    """What detection withstands; None where it was not asked."""
    if not any(its.margins for its in distances):
        return None
    names = highlighted(verdict)
    return _picture(
        margin_curves(distances, names),
        margin_curves(distances, names, columns=1, panel=2 * NARROW),
        alt="AUC of fresh judges by strength of noise, blur, JPEG and down-scaling of reals and fakes alike.",
        caption="Where an AUC is pinned at 1, what it withstands says more: judges learned and tested on reals and "
        "fakes that were degraded alike.",
    )


def payoff_picture(records: Sequence[Record], series: Sequence[Series]) -> Picture | None:
    """The payoff map; None for a single round."""
    if max((len(its.rounds) for its in series), default=0) < 2:
        return None  # one cell is no matrix
    return _picture(
        payoff_map(records, series),
        payoff_map(records, series, columns=2, panel=NARROW),
        alt="Matrices of AUC, one a technique: rows are rounds of fakes, columns rounds of detectors.",
        caption="Left of the framed diagonal, detectors meet fakes made after them; right of it, fakes made before. "
        "The lighter, the more fakes are told from reals. A white corner: below 1/2 beyond error, a wrong sign.",
    )


def images_picture(run: Path) -> Picture | None:
    """The images by round; None without banks."""
    rows = read_rounds(run)
    if not rows:
        return None
    return _picture(
        rounds_of_images(rows),
        rounds_of_images(rows, columns=8),
        alt=f"Sample images in {len(rows)} rows: {', '.join(name for name, _ in rows)}.",
        caption="Held-out real images, and below them the fakes of every round, not selected; a column follows one z.",
    )


def mixing_picture(run: Path) -> Picture | None:
    """The grid of mixed styles; None without one."""
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
