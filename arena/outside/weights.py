"""Load weights from safetensors files. Pickles are not read."""

from pathlib import Path

import safetensors
from safetensors.torch import load_file
from torch import nn

from arena.core.errors import ArenaError


def load_weights(network: nn.Module, path: str | Path, key: str) -> None:
    """Load a safetensors file into a network, in place.

    Raises:
        ArenaError: naming ``key``, if the file is missing or holds another network.
    """
    try:
        network.load_state_dict(load_file(Path(path).expanduser()))
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise ArenaError(f"{key}={path}: expected safetensors of this network ({reason:.300})") from error
