"""The settings of a run as its page shows them: flat ``key=value`` lines, and the command that would run it again."""

import shlex
from collections.abc import Iterator, Mapping
from typing import NamedTuple

# Written into config.yaml beside the settings: not something to set.
_NOT_SETTINGS = ("declared", "environment")


class Setting(NamedTuple):
    """A dotted key and its value in words."""

    key: str
    value: str


def flat(config: Mapping[str, object], prefix: str = "") -> Iterator[Setting]:
    """The leaves of nested mappings; an empty mapping and a list are leaves."""
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield Setting(f"{prefix}{key}", "null" if value is None else str(value))


def settings(config: Mapping[str, object]) -> list[Setting]:
    """What the run was set to."""
    return list(flat({key: value for key, value in config.items() if key not in _NOT_SETTINGS}))


def environment(config: Mapping[str, object]) -> list[Setting]:
    """Where it ran: commit, versions, machine; empty where nothing was recorded."""
    recorded = config.get("environment")
    return list(flat(recorded)) if isinstance(recorded, Mapping) else []


def command(config: Mapping[str, object]) -> str | None:
    """The command line, from the overrides recorded as ``environment.overrides``; None where they were not."""
    recorded = config.get("environment")
    overrides = recorded.get("overrides") if isinstance(recorded, Mapping) else None
    return shlex.join(["python", "-m", "arena", *map(str, overrides)]) if isinstance(overrides, list) else None
