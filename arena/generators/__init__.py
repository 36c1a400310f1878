"""Generators: GANs of four years, networks and folders from outside, and controls with a known outcome."""
