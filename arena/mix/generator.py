"""Load the generator of a finished run from its config and checkpoints; neither the race nor its data is built."""

from pathlib import Path

import numpy as np
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from arena.config.instantiate import SHAPE, instantiate
from arena.config.saved import read_config
from arena.core.errors import ArenaError
from arena.generators.style import StyleGenerator
from arena.outside.programs import load_weights
from arena.records.layout import RunLayout


def load_style_generator(run: Path, round_index: int | None = None) -> tuple[StyleGenerator, int]:
    """Return the averaged style generator of a round, frozen, in eval mode and on the CPU, and the round.

    With None it is the last round that has a checkpoint.
    """
    node = config_node(run, "generator", StyleGenerator)
    layout = RunLayout(run)
    round_index, weights = layout.at_round(layout.generators(), round_index, "a generator")
    try:
        with np.load(layout.reals, allow_pickle=False) as arrays:
            _, channels, resolution, _ = arrays["sample"].shape
    except (OSError, ValueError, KeyError) as error:
        raise ArenaError(f"{layout.reals}: expected the reals of the run") from error
    # Initial weights are replaced below. Grey levels only matter for rounding, which this generator does not do.
    generator = instantiate(node, "generator", SHAPE, weights=None)(
        resolution=resolution, channels=channels, levels=256
    )
    load_weights(generator, weights, str(run))
    return generator.eval().requires_grad_(False), round_index


def config_node(run: Path, key: str, kind: type) -> DictConfig:
    """Return the node of a run's config that builds an instance of ``kind``."""
    settings = read_config(run).get(key)
    target = settings.get("_target_") if isinstance(settings, dict) else None
    try:
        built = get_object(str(target))
    except Exception as error:  # importing a module that is not installed here may raise anything
        raise ArenaError(
            f"{run}: {key}._target_={target}: expected the name of a class that can be imported"
        ) from error
    if not (isinstance(built, type) and issubclass(built, kind)):
        name = str(target).rpartition(".")[2]
        raise ArenaError(f"{run}: {key}={name}: expected {kind.__name__}")
    assert isinstance(settings, dict)
    return OmegaConf.create(settings)
