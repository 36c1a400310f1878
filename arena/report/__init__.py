"""Reading a run: the self-contained page, and the table that ends the console output."""

from arena.report.console import print_outcome
from arena.report.page import write_report

__all__ = ["print_outcome", "write_report"]
