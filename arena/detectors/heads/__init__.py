"""Heads fitted on the features of a technique. Each is kept as tensors, never as a pickle."""
