"""Pictures of the page: each figure for a wide and a narrow window, with its text alternative and its caption."""

from collections.abc import Iterator
from typing import NamedTuple

from matplotlib.figure import Figure

from arena.answer.answer import Answer
from arena.answer.limit import limits_in_words
from arena.figures.axes import png
from arena.figures.distance import bags, highlighted, margin_curves
from arena.figures.images import mixing, read_mixing, read_rounds, rounds_of_images
from arena.figures.limit import limit_by_round
from arena.figures.payoff import payoff_map
from arena.figures.tables import in_words
from arena.figures.timeline import timeline
from arena.report.quiz import data_uri


class Picture(NamedTuple):
    """A figure as data URIs, for a wide and a narrow window, with its text alternative and its caption."""

    wide: str
    narrow: str
    width: int
    alt: str
    caption: str


def timeline_picture(answer: Answer) -> Picture:
    """Return the picture of AUC by round."""
    series, verdict = answer.series, answer.verdict
    first, last = min((one.rounds[0] for one in series), default=0), verdict.round
    paths = [
        f"{one.title}, from {in_words(one.at('fresh', first).value)} to {in_words(one.at('fresh', last).value)}"
        for one in series
    ]
    return _picture(
        timeline(series, verdict.margin),
        timeline(series, verdict.margin, narrow=True),
        alt=f"Line charts of AUC over rounds {first} to {last}, one a technique. Fresh judges: {'; '.join(paths)}.",
        caption="The fakes of every round first meet the detectors of the round before (frozen). These then retrain on "
        "the fakes (retrained). Only fresh judges, trained from scratch and never attacked, count for the verdict.",
    )


def image_pictures(answer: Answer) -> Iterator[Picture]:
    """Yield the images of every round and the grid of mixed styles, as far as the run kept them."""
    rows = read_rounds(answer.run.path)
    if rows:
        yield _picture(
            rounds_of_images(rows),
            rounds_of_images(rows, columns=8),
            alt=f"Sample images in {len(rows)} rows: {', '.join(name for name, _ in rows)}.",
            caption="Held-out real images, then the first test fakes of every round. Each column of "
            "fakes shows one latent z, unless the fakes are resampled.",
        )
    grid = read_mixing(answer.run.path)
    if rows and grid is not None:
        yield _picture(
            mixing(grid),
            mixing(grid, across=1),
            alt=f"Grids of {len(grid.sources)} sources by {len(grid.destinations)} destinations, one a level of style: "
            f"{', '.join(grid.levels)}.",
            caption="Style mixing: one level of styles comes from the image on the left, all others from the image on "
            "top. The judges did not see these images.",
        )


def limit_pictures(answer: Answer) -> Iterator[Picture]:
    """Yield the limit by round, images judged together, and robustness to degradation, as far as they were measured."""
    limits, margin = answer.limits, answer.verdict.margin
    if max((len(limit.fitted.curve.x) for limit in limits.values()), default=0) > 1:  # one point is no curve
        yield _picture(
            limit_by_round(limits, margin),
            limit_by_round(dict([*limits.items()][-1:]), margin),
            alt=f"AUC of fresh judges by round, with the laws fitted to it. {' '.join(limits_in_words(limits))}",
            caption="Where detectability levels off, if it does. The band shows all curves that either law allows at "
            "95%. It assumes that a third of the change has been seen, which no data can confirm.",
        )
    distances, names = answer.distances, highlighted(answer.verdict)
    if any(distance.bags for distance in distances):
        yield _picture(
            bags(distances, names),
            bags(distances, names, narrow=True),
            alt="Share of right decisions and AUC by the number of images from one source that are judged together.",
            caption="The more images from one source are judged together, the more reliable the decision. Points are "
            "measured on bags of held-out images. Dashed lines are Chernoff's bound.",
        )
    if any(distance.margins for distance in distances):
        yield _picture(
            margin_curves(distances, names),
            margin_curves(distances, names, narrow=True),
            alt="AUC of fresh judges by strength of noise, blur, JPEG and down-scaling of reals and fakes alike.",
            caption="Techniques with an AUC near 1 differ in the degradation they tolerate. Judges are trained and "
            "tested on reals and fakes degraded alike.",
        )


def payoff_picture(answer: Answer) -> Picture | None:
    """Return the payoff map; None for a single round, whose only cell is no matrix."""
    records, series = answer.run.records, answer.series
    if max((len(one.rounds) for one in series), default=0) < 2:
        return None
    return _picture(
        payoff_map(records, series),
        payoff_map(records, series, narrow=True),
        alt="Matrices of AUC, one a technique: rows are rounds of fakes, columns rounds of detectors.",
        caption="Left of the framed diagonal, detectors meet fakes made after them; right of it, fakes made before. "
        "The lighter a cell, the higher the AUC. A white corner marks an AUC below 1/2 beyond error: a wrong sign.",
    )


def _picture(wide: Figure, narrow: Figure, alt: str, caption: str) -> Picture:
    width = round(130 * wide.get_size_inches()[0])
    return Picture(data_uri(png(wide)), data_uri(png(narrow)), width, alt, caption)
