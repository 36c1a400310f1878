"""Every figure and table of a run, drawn again from what it wrote."""

from pathlib import Path

from arena.answer.game.game import game
from arena.answer.limit.distance import distances_of
from arena.answer.limit.limit import own_limits
from arena.answer.runs import conditions, declared, read_run
from arena.answer.trajectory import trajectory
from arena.answer.verdict import verdict
from arena.config.saved import read_config
from arena.figures.axes import highlighted, save
from arena.figures.bags import bags
from arena.figures.images import read_rounds, rounds_of_images
from arena.figures.limit import limit_by_round
from arena.figures.margins import margin_curves
from arena.figures.mixing import mixing, read_mixing
from arena.figures.payoff import payoff_map
from arena.figures.quality import quality
from arena.figures.series import read_series
from arena.figures.tables import game_table, quality_table, scores_table, verdict_table, write_table
from arena.figures.timeline import timeline
from arena.figures.training import training_curves, training_records
from arena.records.store import read_records


def draw_all(run: Path, out: Path) -> list[Path]:
    """Draw the figures (PNG and PDF) and tables (CSV and LaTeX) of a run; equal records make equal files.

    What a run does not have, such as the banks of a copied run directory or the verdict of one under way, is not drawn.

    Args:
        run: the run directory.
        out: where to; made if missing.

    Returns:
        The files written.

    Raises:
        ArenaError: if ``run`` is no run directory, or what is in it cannot be read.
    """
    records = read_records(run)
    margin = declared(read_config(run)).answer.margin
    series = read_series(run, records)
    figures = {"timeline": timeline(series, margin), "payoff": payoff_map(records, series)}
    if curve := training_records(records):
        figures["training"] = training_curves(curve)
    if rows := read_rounds(run):
        figures["rounds"] = rounds_of_images(rows)
    if grid := read_mixing(run):
        figures["mixing"] = mixing(grid)
    tables = {"scores": scores_table(series)}
    if measured := quality_table(records):
        tables["quality"] = measured
    if games := game(run, records):
        tables["game"] = game_table(games)
    if (run / "verdict.json").is_file():
        finished = read_run(run)
        found = verdict([finished])
        tables["verdict"] = verdict_table(found)
        its = trajectory(conditions([finished])[0], f"access={finished.access}")
        if its.steps:
            figures["quality"] = quality([its])
        if levelled := own_limits([finished]):
            figures["limit"] = limit_by_round(levelled, margin)
        distances = distances_of(finished)
        if any(its.bags for its in distances):
            figures["bags"] = bags(distances, highlighted(found))
        if any(its.margins for its in distances):
            figures["margins"] = margin_curves(distances, highlighted(found))
    written = [path for name, figure in figures.items() for path in save(figure, out / name)]
    return written + [path for name, table in tables.items() for path in write_table(table, out / name)]
