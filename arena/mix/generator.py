"""The generator of a finished run, from its config and checkpoints: neither the race nor its data is built again."""

from pathlib import Path

import numpy as np
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from arena.config.instantiate import SHAPE, instantiate
from arena.config.saved import read_config
from arena.core.errors import ArenaError
from arena.generators.style import StyleGenerator
from arena.outside.weights import load_weights


def style_generator(run: Path, round_index: int | None = None) -> tuple[StyleGenerator, int]:
    """G_round by its averaged weights, on the CPU, in eval mode and without gradients; and the round.

    Args:
        run: the run directory.
        round_index: None for the last one there is.

    Raises:
        ArenaError: where ``run`` is no run, has no style generator, or has no such round.
    """
    node = node_of(run, "generator", StyleGenerator)
    weights = {
        int(path.parts[-3].removeprefix("round_")): path
        for path in run.glob("checkpoints/round_*/gan/generator.safetensors")
    }
    if not weights:
        raise ArenaError(f"{run}: expected checkpoints of a generator, found none")
    round_index = max(weights) if round_index is None else round_index
    if round_index not in weights:
        raise ArenaError(
            f"--round={round_index}: expected a round of {run}, which has {min(weights)} to {max(weights)}"
        )
    resolution, channels = _shape(run)
    # Whatever weights it once started from, it has its own now; and it does not round, so that no levels matter.
    generator = instantiate(node, "generator", SHAPE, weights=None)(
        resolution=resolution, channels=channels, levels=256
    )
    load_weights(generator, weights[round_index], str(run))
    return generator.eval().requires_grad_(False), round_index


def node_of(run: Path, key: str, kind: type) -> DictConfig:
    """The part of a run's config that builds ``kind``.

    Raises:
        ArenaError: where it builds something else.
    """
    settings = read_config(run).get(key)
    target = settings.get("_target_") if isinstance(settings, dict) else None
    try:
        found = get_object(str(target))
    except Exception as error:  # whatever importing a class that is not installed here may raise
        raise ArenaError(f"{run}: {key}._target_={target}: expected the name of a class that is there") from error
    if not (isinstance(found, type) and issubclass(found, kind)):
        name = str(target).rpartition(".")[2]
        raise ArenaError(f"{run}: {key}={name}: expected {kind.__name__}")
    assert isinstance(settings, dict)
    return OmegaConf.create(settings)


def _shape(run: Path) -> tuple[int, int]:
    """Resolution and channels of its images."""
    path = run / "banks" / "reals.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            _, channels, resolution, _ = arrays["sample"].shape
    except (OSError, ValueError, KeyError) as error:
        raise ArenaError(f"{path}: expected the reals of the run") from error
    return resolution, channels
