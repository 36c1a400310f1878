"""Every figure and table of a run, drawn again from what it wrote."""

from pathlib import Path

from arena.answer.declared import declared, read_config
from arena.answer.verdict import read_verdict
from arena.figures.game import game_table
from arena.figures.mixing import mixing, read_mixing
from arena.figures.payoff import payoff_map
from arena.figures.rounds import read_rounds, rounds_of_images
from arena.figures.series import read_series
from arena.figures.style import save
from arena.figures.tables import quality_table, scores_table, to_csv, to_latex, verdict_table
from arena.figures.timeline import timeline
from arena.figures.training import training_curves, training_records
from arena.game.game import game
from arena.records import read_records, write_atomically


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
    if quality := quality_table(records):
        tables["quality"] = quality
    if games := game(run, records):
        tables["game"] = game_table(games)
    if (run / "verdict.json").is_file():
        tables["verdict"] = verdict_table(read_verdict(run))
    written = [path for name, figure in figures.items() for path in save(figure, out / name)]
    for name, table in tables.items():
        for kind, text in (("csv", to_csv(table)), ("tex", to_latex(table))):
            written.append(out / f"{name}.{kind}")
            write_atomically(written[-1], text.encode())
    return written
