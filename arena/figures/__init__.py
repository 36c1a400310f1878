"""Figures and tables of a run, drawn from its records. This package imports no torch."""
