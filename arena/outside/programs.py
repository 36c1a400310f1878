"""Load networks of other packages: saved with their code (TorchScript, ``torch.export``), or imported by name.

Each of these is code, and loading it runs it. The operators that a TorchScript file names may read and write files.
The graph of an exported program may call any function that torch's modules reach. PyTorch's SECURITY.md says to treat
models like any other program: load only files of authors whose code you would run.

Python's pickle is ruled out. ``torch.jit.load`` has a parser of its own, for tensors and TorchScript's classes alone.
``torch.export.load`` (as of torch 2.13) unpickles example inputs that are no tensors, weights of a tensor subclass and
constants that are Python objects, and it loads compiled libraries. Archives with any of these are refused.
"""

import io
import logging
import os
import pkgutil
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError, require
from arena.core.tensors import load_module

TENSORS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""Environment variable that makes every ``torch.load`` refuse anything except tensors."""
FOREIGN = ("opaque_obj", "custom_obj", "aotinductor")
"""Parts of the names of entries of a ``torch.export`` archive that hold pickles, C++ objects or compiled code."""


def check_source(
    *, path: str | None, name: str | None, value_range: Sequence[float], prefix: str, files: str
) -> tuple[float, float]:
    """Check the keys that name a network, and return the values of black and white of its images.

    Args:
        path: file of the network.
        name: alternative to ``path``: dotted name of a class or function.
        value_range: values of black and white.
        prefix: prefix of these keys in the configuration, such as ``generator.``.
        files: description of a valid path, for errors.

    Raises:
        ArenaError: unless there is either a path or a name, and black is less than white.
    """
    expected = f"{files}, or null and a class in {prefix}name{', not both' if name else ''}"
    require(bool(path) != bool(name), f"{prefix}path", path or "null", expected)
    ascending = len(value_range) == 2 and value_range[0] < value_range[-1]
    require(ascending, f"{prefix}value_range", list(value_range), "black and white, as in [-1,1]")
    return float(value_range[0]), float(value_range[1])


def load_network(
    *,
    path: str | None = None,
    name: str | None = None,
    kwargs: Mapping[str, object] | None = None,
    weights: str | None = None,
    prefix: str,
) -> nn.Module:
    """Return the network of a program's file, or that which a class or function builds. This runs code of the user.

    Args:
        path: TorchScript file or exported program, loaded on the CPU.
        name: alternative to ``path``: package.module.Class, which can be imported.
        kwargs: keyword arguments of ``name``.
        weights: safetensors file to load, or None for the network's own.
        prefix: prefix of these keys in the configuration, such as ``generator.``.

    Raises:
        ArenaError: if a file is missing or would have to be unpickled, or the class builds no network.
    """
    network = _program(path, prefix) if path else _imported(str(name), kwargs or {}, prefix)
    if weights is not None:
        load_weights(network, weights, f"{prefix}weights")
    return network


def load_weights(network: nn.Module, path: str | Path, key: str) -> None:
    """Load a safetensors file into a network, in place.

    Raises:
        ArenaError: naming ``key``, if the file is missing, holds another network, or values that are not finite.
    """
    load_module(network, Path(path).expanduser(), f"{key}={path}")


def require_parameters(network: nn.Module, prefix: str) -> None:
    """Raise an ``ArenaError`` if a network that is to be trained has no parameters to train."""
    learns = any(parameter.requires_grad for parameter in network.parameters())
    require(learns, f"{prefix}trainable", True, "a network with parameters to train")


def set_mode(network: nn.Module, training: bool) -> None:
    """Set a network to training or eval mode. An exported program keeps the mode it was exported in."""
    with suppress(NotImplementedError):
        network.train(training)


def source_files(name: str, network: nn.Module) -> list[Path]:
    """Return the source files of the class or function of that name and of its network, without their imports."""
    modules = {name.rpartition(".")[0], type(network).__module__}
    files = [getattr(sys.modules.get(module), "__file__", None) for module in sorted(modules)]
    return [Path(file) for file in dict.fromkeys(files) if file]


def untie_weights(network: nn.Module, state: dict[str, Tensor], prefix: str, metadata: object) -> None:
    """Copy tied weights, since safetensors takes no two tensors that share memory.

    A hook for ``register_state_dict_post_hook``.
    """
    seen: set[int] = set()
    for name, value in state.items():
        if (place := value.untyped_storage().data_ptr()) in seen:
            state[name] = value.clone()
        seen.add(place)


def _program(path: str, prefix: str) -> nn.Module:
    """Return the network of a file, by its kind."""
    try:
        content = Path(path).expanduser().read_bytes()
        entries = _entries(content)
        if "constants.pkl" in entries:  # torch recognises TorchScript by it too; only TorchScript's parser reads it
            return torch.jit.load(io.BytesIO(content), map_location="cpu")
        if any(name.startswith("models/") or name == "serialized_exported_program.json" for name in entries):
            return _exported(content, entries)
    except ArenaError as error:
        raise ArenaError(f"{prefix}path={path}: {error}") from error
    except Exception as error:  # the errors of these parsers are not documented
        raise ArenaError(f"{prefix}path={path}: expected a program that torch can load ({_line(error)})") from error
    raise ArenaError(
        f"{prefix}path={path}: expected TorchScript or a program saved by torch.export.save; pickles are not read: "
        f"save the weights as safetensors, and name their class in {prefix}name"
    )


def _imported(name: str, kwargs: Mapping[str, object], prefix: str) -> nn.Module:
    """Return the network that the class or function of that name builds."""
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


def _entries(content: bytes) -> set[str]:
    """Return the entries of an archive below its own folder, in lower case as torch's reader compares them."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name.lower().split("/", 1)[-1] for name in archive.namelist()}
    except zipfile.BadZipFile:
        return set()


def _exported(content: bytes, entries: set[str]) -> nn.Module:
    """Return the network of an exported program, in the mode it was exported in.

    Raises:
        ArenaError: if the archive holds more than a graph and tensors.
    """
    for name in sorted(entries):
        if any(mark in name for mark in FOREIGN):
            raise ArenaError(f"expected a graph and tensors, found {name}, which is a pickle or compiled code")
    with _tensors_only():
        return torch.export.load(io.BytesIO(content)).module()


@contextmanager
def _tensors_only() -> Iterator[None]:
    """Unpickle nothing except tensors, without warnings, since errors are raised too."""
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


def last_line(error: Exception) -> str:
    """Return the last line of an error's message, where torch gives the reason. Without a message, its class."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]


def _line(error: Exception) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
