"""Synthetic runs with all that figures and report read, and the curves of a drawn panel."""

from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.axes import Axes
from numpy.typing import NDArray

from arena.answer.answer import read_answer
from arena.answer.runs import FinishedRun, declared, declared_hash, read_run
from arena.figures.marks import Mark
from arena.records.store import read_scores
from tests.synthetic import synthetic_run

FEW = {"cnn": 0.8, "forest": 0.5, "stack": 0.85}
LEVELS = ("coarse", "middle", "fine")


def drawable_run(
    run: Path, *, rounds: int = 2, techniques: dict[str, float] = FEW, channels: int = 1, seed: int = 0, **settings: Any
) -> Path:
    """A finished run of few images."""
    synthetic_run(run, rounds=rounds, techniques=techniques, n_real=60, n_fake=60, seed=seed, **settings)
    rng = np.random.default_rng(0)
    shape = (16, channels, 8, 8)
    (run / "banks").mkdir()
    np.savez(run / "banks" / "reals.npz", sample=rng.integers(0, 256, shape, dtype=np.uint8))
    for round_index in range(rounds + 1):
        np.savez(run / "banks" / f"round_{round_index:02d}.npz", test=rng.integers(0, 256, shape, dtype=np.uint8))
    keep_judged(run, channels)
    read_answer(run).verdict.write(run)
    return run


def generated_run(run: Path, target: str, *, generator: dict[str, Any] | None = None, **settings: Any) -> FinishedRun:
    """A finished run without images, whose config names that generator."""
    few = {"techniques": {"cnn": 0.6, "stack": 0.8}, "rounds": 0, "n_real": 40, "n_fake": 40}
    synthetic_run(run, **(few | settings))
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["generator"] = {"_target_": target} | (generator or {})
    config["declared"] = declared_hash(declared(config))
    (run / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return read_run(run)


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


def write_grid(run: Path, round_index: int, channels: int = 3, side: int = 16, psi: float = 0.7, **changed: Any):
    """A grid of mixed styles made of noise: no two images are alike."""
    rng = np.random.default_rng(round_index)

    def noise(*shape: int) -> NDArray[np.uint8]:
        return rng.integers(0, 256, (*shape, channels, side, side), dtype=np.uint8)

    arrays: dict[str, Any] = {"sources": noise(2), "destinations": noise(3)} | {level: noise(2, 3) for level in LEVELS}
    arrays |= {"sides": np.array([[4, 8], [16, 16], [32, 64]]), "psi": np.array(psi)}
    (run / "banks").mkdir(parents=True, exist_ok=True)
    np.savez(run / "banks" / f"mixing_{round_index:02d}.npz", **(arrays | changed))
    return arrays


def curves(axes: Axes, mark: Mark) -> list[tuple[NDArray, NDArray]]:
    """Abscissas and ordinates of each curve of a panel with that mark, in the order drawn."""
    return [
        (np.asarray(line.get_xdata(), float), np.asarray(line.get_ydata(), float))
        for line in axes.lines
        if (line.get_marker(), line.get_color()) == (mark.marker, mark.colour)
    ]


def words(figure_or_axes: Any) -> list[str]:
    """The texts of a figure or of a panel."""
    return [text.get_text() for text in figure_or_axes.texts]


def keys(figure: Any) -> list[str]:
    """The labels of a figure's legend."""
    return [text.get_text() for text in figure.legends[0].get_texts()]
