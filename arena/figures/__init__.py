"""Every figure and table of a run, drawn from what it wrote: records in, pictures out, no torch."""

from arena.figures.draw import draw_all

__all__ = ["draw_all"]
