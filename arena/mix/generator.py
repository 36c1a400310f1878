"""Load the generator of a finished run from its config and checkpoints; neither the race nor its data is built."""

from pathlib import Path

from arena.config.instantiate import SHAPE, instantiate
from arena.config.trust import config_node
from arena.core.errors import ArenaError
from arena.core.files import load_arrays
from arena.generators.style import StyleGenerator
from arena.outside.programs import load_weights
from arena.records.integrity import check_files
from arena.records.layout import RunLayout


def load_style_generator(run: Path, round_index: int | None = None) -> tuple[StyleGenerator, int]:
    """Return the averaged style generator of a round, frozen, in eval mode and on the CPU, and the round.

    With None it is the last round that has a checkpoint.
    """
    node = config_node(run, "generator", StyleGenerator)
    layout = RunLayout(run)
    round_index, weights = layout.at_round(layout.generators(), round_index, "a generator")
    check_files(run, [layout.reals, weights])
    (sample,) = load_arrays(layout.reals, ["sample"])
    if sample.ndim != 4:
        raise ArenaError(f"{layout.reals}: expected the reals of the run (N, C, H, W), found {sample.shape}")
    _, channels, resolution, _ = sample.shape
    # Initial weights are replaced below. Grey levels only matter for rounding, which this generator does not do.
    generator = instantiate(node, "generator", SHAPE, weights=None)(
        resolution=resolution, channels=channels, levels=256
    )
    load_weights(generator, weights, str(run))
    return generator.eval().requires_grad_(False), round_index
