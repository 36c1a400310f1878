"""Weights & Biases as a view of the records: never the source of anything, never the reason a race stops."""

from arena.tracking.tracker import Tracker

__all__ = ["Tracker"]
