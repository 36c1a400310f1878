"""Compose a configuration with Hydra: the folder conf/, short forms of overrides, and errors in one line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig

from arena.config.schema import BAG, STACK, register
from arena.core.errors import ArenaError

_PACKAGE = Path(__file__).parents[1]
CONF = _PACKAGE / "conf" if (_PACKAGE / "conf").is_dir() else _PACKAGE.parent / "conf"
"""The folder of configurations: in an installed package, or beside the package in a checkout."""
ADD, MEMBER = "battery.add", "detector@battery.members."
"""Short form of an override that adds detectors, and the long form of the key of one."""
_NOISE = re.compile(
    r"^Error merging override |\.?\nTo append to your config use .*|\nSee https:.*|\n\s*Config search path:[\s\S]*"
)
"""Parts of Hydra's messages that do not help: links, search paths, and the advice to append a key."""


def compose_config(overrides: Sequence[str], **options: Any) -> DictConfig:
    """Return the configuration of a race, as Hydra composes it from overrides.

    Args:
        overrides: as on the command line.
        options: of Hydra's ``compose``.

    Raises:
        ArenaError: for a value that Hydra cannot read, such as null for a group.
        HydraException: for any other override that it refuses.
    """
    register()
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        try:
            return compose("config", long_form(overrides), **options)
        except ValueError as error:
            raise ArenaError(explanation(error, overrides)) from error


def long_form(overrides: Sequence[str]) -> list[str]:
    """Return overrides with ``battery.add=[npr,...]`` written out as one added detector config each.

    A config of a subfolder, such as ``paper/cnn``, is added under the last part of its name.

    >>> long_form(["seed=1", "battery.add=[npr,paper/cnn]"])
    ['seed=1', '+detector@battery.members.npr=npr', '+detector@battery.members.cnn=paper/cnn']

    Raises:
        ArenaError: if the value is no list of detector configs, or a ladder and a generator are both chosen.
    """
    chosen = {group: value for group, _, value in (override.partition("=") for override in overrides)}
    if chosen.get("ladder", "null") != "null" and "generator" in chosen:
        generator, ladder = chosen["generator"], chosen["ladder"]
        raise ArenaError(f"generator={generator}: expected none beside ladder={ladder}, which chooses the generator")
    return [part for override in overrides for part in _added(override)]


def _added(override: str) -> list[str]:
    if override.partition("=")[0] != ADD:
        return [override]
    try:
        names = OverridesParser.create().parse_override(override).value()
    except HydraException:
        names = None
    if not isinstance(names, list):
        raise ArenaError(f"{override}: expected a list of detector configs, such as [npr,fft]")
    return [f"+{MEMBER}{str(name).rpartition('/')[2]}={name}" for name in names]


def quoted(text: str) -> str:
    r"""Return text as a value of an override, in quotes, since a value without them may have no ``=`` and no comma.

    >>> print(quoted("runs/it's=1"))
    'runs/it\'s=1'
    """
    escaped = re.sub(r"(\\*)'", r"\1\1\'", text)  # backslashes count only before a quote
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"'{escaped}{trailing * chr(92)}'"


def explanation(error: BaseException, overrides: Sequence[str]) -> str:
    """Return one line that names the key at fault and the expected value.

    Args:
        error: of this package, Hydra or OmegaConf.
        overrides: of the command line.
    """
    causes = [error]
    while (cause := causes[-1].__cause__) is not None and cause not in causes:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, ArenaError):
            return " ".join(str(cause).split())
    for override in overrides:
        if override.startswith(f"{ADD}=") and (expected := _expected_to_add(error, override)):
            return f"{override}: expected {expected}"
    # Hydra names the key or the options. Its cause, an error of OmegaConf, names the expected type.
    message = ": ".join([_NOISE.sub("", str(error)), *(str(cause).partition("\n")[0] for cause in causes[1:])])
    if not any(override.partition("=")[0].strip("+~") in message for override in overrides):
        message = f"{getattr(error, 'override', ' '.join(overrides))}: {message}"
    return " ".join(message.split())


def _expected_to_add(error: BaseException, override: str) -> str | None:
    """Return what ``battery.add`` expected, if one of its techniques is the cause of Hydra's error."""
    added = [part.removeprefix(f"+{MEMBER}").split("=") for part in _added(override)]
    for technique, name in added:
        if getattr(error, "missing_cfg_file", None) == f"detector/{name}":
            papers = sorted(f"paper/{path.stem}" for path in CONF.glob("detector/paper/*.yaml"))
            known = [option for option in getattr(error, "options", None) or () if option not in (STACK, BAG)]
            return f"detectors among {', '.join([*known, *papers])}, found {name}"
        twice = "more than once" in str(error) or "Multiple values" in str(error)
        if twice and re.search(rf"@battery\.members\.{re.escape(technique)}\b", str(error)):
            return f"techniques that the battery does not have yet, found {name}"
    return None
