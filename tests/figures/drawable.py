"""Synthetic runs with banks and a verdict: all that figures and report read."""

from pathlib import Path

import numpy as np

from arena.answer.verdict import read_verdict
from tests.synthetic import synthetic_run

FEW = {"cnn": 0.8, "forest": 0.5, "stack": 0.85}


def drawable_run(run: Path, *, rounds: int = 2, techniques: dict[str, float] | None = None, channels: int = 1) -> Path:
    """A finished run of few images."""
    synthetic_run(run, rounds=rounds, techniques=techniques or FEW, n_real=60, n_fake=60)
    rng = np.random.default_rng(0)
    shape = (16, channels, 8, 8)
    (run / "banks").mkdir()
    np.savez(run / "banks" / "reals.npz", sample=rng.integers(0, 256, shape, dtype=np.uint8))
    for round in range(rounds + 1):
        np.savez(run / "banks" / f"round_{round:02d}.npz", test=rng.integers(0, 256, shape, dtype=np.uint8))
    read_verdict(run).write(run)
    return run
