"""Save tensors as safetensors, and load them: damaged files and values that are not finite are refused in one line."""

from collections.abc import Mapping
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from arena.core.errors import ArenaError, first_line
from arena.core.files import write_atomically


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write named tensors as safetensors, atomically. Equal tensors make equal files."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(path, safetensors.torch.save(plain))


def save_module(module: nn.Module, path: Path) -> None:
    """Write the parameters and buffers of a module as safetensors, atomically."""
    save_tensors(module.state_dict(), path)


def load_tensors(path: Path, place: str | None = None) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, on the CPU.

    Args:
        path: the file.
        place: the file as errors name it, such as ``generator.weights=FILE``.

    Raises:
        ArenaError: if the file is missing or damaged, or a value is NaN or infinite.
    """
    place = place or str(path)
    try:
        tensors = safetensors.torch.load_file(path)
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise ArenaError(f"{place}: expected safetensors of this network ({first_line(error):.300})") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise ArenaError(f"{place}: {name:.100}: expected finite weights, found NaN or infinite ones")
    return tensors


def load_module(module: nn.Module, path: Path, place: str | None = None) -> None:
    """Load a safetensors file into a module, in place.

    Raises:
        ArenaError: as ``load_tensors``, or if the file holds another network.
    """
    give_tensors(module, load_tensors(path, place), place or str(path))


def give_tensors(module: nn.Module, tensors: Mapping[str, Tensor], place: str) -> None:
    """Copy tensors into a module.

    Raises:
        ArenaError: naming ``place``, if they are those of another network.
    """
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ArenaError(f"{place}: expected safetensors of this network ({reason:.300})") from error
