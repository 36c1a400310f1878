"""Parametric faces photographed by a simulated camera."""
