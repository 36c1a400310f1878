"""Networks somebody else wrote: saved with their code (TorchScript, ``torch.export``), or imported by name.

Each of these is code, and to use it is to run it. TorchScript calls whatever operators its file names, some of which
read and write files; the graph of an exported program may name any function that torch's own modules reach; and PyTorch
says to treat models like any other program (its SECURITY.md). Only files of people whose code one would run belong
here.

What these loaders do rule out is Python's pickle, where weights are looked for and code runs. ``torch.jit.load`` reads
with a parser of its own, which knows tensors and TorchScript's classes and nothing of Python. ``torch.export.load`` (as
of torch 2.13) unpickles example inputs that are no tensors, weights of a tensor subclass, and constants that are Python
objects, and loads compiled libraries; all that is refused.
"""

import io
import logging
import os
import pkgutil
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError

TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Set, it makes every ``torch.load`` refuse what is not made of tensors."""
FOREIGN = ("opaque_obj", "custom_obj", "aotinductor")
"""In the names of what an archive of ``torch.export`` holds beside tensors: pickles, C++ objects, compiled code."""


def load_program(path: str | Path, prefix: str) -> nn.Module:
    """The network a file holds, on the CPU: TorchScript, or an exported program.

    Args:
        path: of the file.
        prefix: of the keys that name it in the configuration, ``generator.`` say.

    Raises:
        ArenaError: where there is no such file, or it would have to be unpickled.
    """
    try:
        content = Path(path).expanduser().read_bytes()
        held = _names(content)
        if "constants.pkl" in held:  # by which torch knows TorchScript too; that pickle is TorchScript's own
            return torch.jit.load(io.BytesIO(content), map_location="cpu")
        if any(name.startswith("models/") or name == "serialized_exported_program.json" for name in held):
            return _exported(content, held)
    except ArenaError as error:
        raise ArenaError(f"{prefix}path={path}: {error}") from error
    except Exception as error:  # what these parsers raise on bad bytes is not documented
        raise ArenaError(f"{prefix}path={path}: expected a program that torch can load ({_line(error)})") from error
    raise ArenaError(
        f"{prefix}path={path}: expected TorchScript or a program saved by torch.export.save; pickles are not read: "
        f"save the weights as safetensors, and name their class in {prefix}name"
    )


def import_network(name: str, kwargs: Mapping[str, object], prefix: str) -> nn.Module:
    """What the class or function of a dotted name makes of the keywords; the user's code, run by the user's command.

    Args:
        name: package.module.Class, of something that can be imported.
        kwargs: it is called with.
        prefix: of the keys that name it in the configuration, ``generator.`` say.

    Raises:
        ArenaError: where there is none, it fails, or what it makes is no network.
    """
    try:
        factory = pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArenaError(
            f"{prefix}name={name}: expected package.module.Class of something that can be imported ({_line(error)})"
        ) from error
    if isinstance(factory, nn.Module) or not callable(factory):
        raise ArenaError(f"{prefix}name={name}: expected a class or a function, found {type(factory).__name__}")
    try:
        network = factory(**kwargs)
    except Exception as error:
        raise ArenaError(f"{prefix}kwargs={dict(kwargs)}: {name} cannot be built ({_line(error)})") from error
    if not isinstance(network, nn.Module):
        raise ArenaError(f"{prefix}name={name}: expected it to make an nn.Module, found {type(network).__name__}")
    return network


def set_mode(network: nn.Module, training: bool) -> None:
    """Set the mode of a network that has one to set: an exported program stays in that it was exported in."""
    with suppress(NotImplementedError):
        network.train(training)


def sources(name: str, network: nn.Module) -> list[Path]:
    """The source files of the class or function of that name, and of what it made; what they import is not followed."""
    modules = {name.rpartition(".")[0], type(network).__module__}
    files = [getattr(sys.modules.get(module), "__file__", None) for module in sorted(modules)]
    return [Path(file) for file in dict.fromkeys(files) if file]


def each_its_own(network: nn.Module, state: dict[str, Tensor], prefix: str, metadata: object) -> None:
    """Tied weights under each of their names: safetensors takes no two tensors that share memory.

    A hook for ``register_state_dict_post_hook``.
    """
    seen: set[int] = set()
    for name, value in state.items():
        if (place := value.untyped_storage().data_ptr()) in seen:
            state[name] = value.clone()
        seen.add(place)


def _names(content: bytes) -> set[str]:
    """What an archive holds, below its own folder, in lower case as torch's reader compares; nothing of other files."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name.lower().split("/", 1)[-1] for name in archive.namelist()}
    except zipfile.BadZipFile:
        return set()


def _exported(content: bytes, held: set[str]) -> nn.Module:
    """The network of an exported program, in the mode it was exported in.

    Raises:
        ArenaError: where the archive holds more than a graph and tensors.
    """
    for name in sorted(held):
        if any(mark in name for mark in FOREIGN):
            raise ArenaError(f"expected a graph and tensors, found {name}, which is a pickle or compiled code")
    with _tensors_only():
        return torch.export.load(io.BytesIO(content)).module()


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Nothing is unpickled but tensors; and nothing is warned of, for what goes wrong is raised too."""
    before, log = os.environ.get(TENSORS_ONLY), logging.getLogger("torch.export")
    os.environ[TENSORS_ONLY], log.disabled = "1", True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = False
        if before is None:
            del os.environ[TENSORS_ONLY]
        else:
            os.environ[TENSORS_ONLY] = before


def _line(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
