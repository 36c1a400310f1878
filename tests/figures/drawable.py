"""Synthetic runs with all that figures and report read, and the curves of a drawn panel."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from arena.answer.answer import read_answer
from arena.answer.runs import read_run
from arena.figures.marks import Mark
from arena.records.store import read_scores
from tests.synthetic import synthetic_run

FEW = {"cnn": 0.8, "forest": 0.5, "stack": 0.85}


def drawable_run(
    run: Path, *, rounds: int = 2, techniques: dict[str, float] | None = None, channels: int = 1, seed: int = 0
) -> Path:
    """A finished run of few images."""
    synthetic_run(run, rounds=rounds, techniques=techniques or FEW, n_real=60, n_fake=60, seed=seed)
    rng = np.random.default_rng(0)
    shape = (16, channels, 8, 8)
    (run / "banks").mkdir()
    np.savez(run / "banks" / "reals.npz", sample=rng.integers(0, 256, shape, dtype=np.uint8))
    for round_index in range(rounds + 1):
        np.savez(run / "banks" / f"round_{round_index:02d}.npz", test=rng.integers(0, 256, shape, dtype=np.uint8))
    keep_judged(run, channels)
    read_answer(run).verdict.write(run)
    return run


def keep_judged(run: Path, channels: int = 1, side: int = 8) -> None:
    """Images for the quiz: dark reals and light fakes, of ids that the judges of a synthetic run tested."""
    terms = read_run(run)
    tested = read_scores(run, terms.fresh(terms.declared.techniques[0])[0].scores)
    rng = np.random.default_rng(1)
    kept: dict[str, np.ndarray] = {}
    for label, name in enumerate(("real", "fake")):
        ids = rng.permutation(tested.image[tested.label == label])[:50]
        kept[f"{name}s"] = rng.integers(128 * label, 128 * label + 128, (50, channels, side, side), dtype=np.uint8)
        kept[f"{name}_ids"] = ids
    np.savez(run / "banks" / "judged.npz", allow_pickle=False, **kept)


def curves(axes: Axes, mark: Mark) -> list[tuple[NDArray, NDArray]]:
    """Abscissas and ordinates of each curve of a panel with that mark, in the order drawn."""
    return [
        (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        for line in axes.lines
        if (line.get_marker(), line.get_color()) == (mark.marker, mark.colour)
    ]
