"""Heads: what is fitted on a technique's features, each kept as tensors, never as a pickle."""
