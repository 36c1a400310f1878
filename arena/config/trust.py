"""Decide which code the configuration of a saved run may call: parts of arena, and code that the user allowed by name.

A run directory is data, which people share. Its config names the classes that it was built from, and a class is code.
A race that is started from the command line may name any class, since its user wrote that command.
"""

import functools
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from arena.config.compose import CONF
from arena.config.saved import read_config
from arena.core.errors import ArenaError

FLAG = "--allow-code"
"""Flag that allows the code of one name. It may be repeated."""
_VARIABLE = "ARENA_ALLOW_CODE"
"""Environment variable with the allowed names, which second processes and the jobs of a cluster inherit."""
_LOADERS = ("arena.generators.module.module_generator", "arena.detectors.module.module_detector")
"""Parts of arena that run the code which their ``path`` or ``name`` says."""


def take_flag(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names that ``--allow-code`` allows, and the other arguments.

    >>> take_flag(["score", "RUN", "--allow-code", "package.module", "DIR"])
    (['package.module'], ['score', 'RUN', 'DIR'])

    Raises:
        ArenaError: if the last flag has no name.
    """
    names, others, left = list[str](), list[str](), iter(arguments)
    for argument in left:
        if argument != FLAG and not argument.startswith(f"{FLAG}="):
            others.append(argument)
            continue
        name = argument.partition("=")[2] or next(left, "")
        if not name or name.startswith("-"):
            raise ArenaError(f"{FLAG}: expected the name of a package, module, class or file after it")
        names.append(name)
    return names, others


def allow_code(names: Sequence[str]) -> None:
    """Allow the code of these names, in this process and in those that it starts."""
    if names:
        os.environ[_VARIABLE] = os.pathsep.join([*_allowed(), *names])


def read_own_config(run: Path) -> dict[str, object]:
    """Return the resolved config of a run, of which every part may be built.

    Raises:
        ArenaError: if ``read_config`` refuses it, or it names code that is not arena's own and was not allowed.
    """
    config = read_config(run)
    _refuse_code(run, {key: value for key, value in config.items() if key != "environment"})
    return config


def config_node(run: Path, key: str, kind: type) -> DictConfig:
    """Return the node of a run's config that builds an instance of ``kind``.

    Raises:
        ArenaError: as ``read_own_config``, for this node alone, or if it builds something else.
    """
    settings = read_config(run).get(key)
    _refuse_code(run, {key: settings})
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


def code_of(settings: object, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each name of code from outside of arena in a config, with its dotted key.

    These are classes and functions that ``conf/`` does not name, the networks that ``generator=module`` and
    ``detector=module`` load, and interpolations, which could read the environment.
    """
    if isinstance(settings, Mapping):
        target = settings.get("_target_")
        if target is not None and target not in own_parts():
            yield f"{key}._target_".lstrip("."), str(target)
        if target in _LOADERS:
            for name in ("path", "name"):
                if settings.get(name) is not None:
                    yield f"{key}.{name}".lstrip("."), str(settings[name])
        for name, value in settings.items():
            yield from code_of(name, key)
            yield from code_of(value, f"{key}.{name}".lstrip("."))
    elif isinstance(settings, (list, tuple)):
        for number, value in enumerate(settings):
            yield from code_of(value, f"{key}[{number}]")
    elif isinstance(settings, str) and "${" in settings:
        yield key, settings


@functools.cache
def own_parts() -> frozenset[str]:
    """Return the classes and functions that the configs of arena name as parts."""
    named = re.compile(r"^\s*_target_:\s*(\S+)", re.MULTILINE)
    return frozenset(name for path in CONF.rglob("*.yaml") for name in named.findall(path.read_text(encoding="utf-8")))


def _refuse_code(run: Path, settings: Mapping[str, object]) -> None:
    for key, name in code_of(settings):
        if not _is_allowed(name):
            raise ArenaError(
                f"{run}: {key}={name} is code from outside of arena, which this command would run. If you trust the "
                f"authors of the run and of that code, add {FLAG} {shlex.quote(name)}"
            )


def _allowed() -> list[str]:
    return [name for name in os.environ.get(_VARIABLE, "").split(os.pathsep) if name]


def _is_allowed(name: str) -> bool:
    """Return whether a name, or a package or module that it lies in, was allowed."""
    return any(name == allowed or name.startswith(f"{allowed}.") for allowed in _allowed())
