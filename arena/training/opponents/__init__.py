"""Detectors that a generator attacks in its response."""
