"""A sweep: all its races are checked before the first one runs, and those that failed are named at the end."""

import hashlib
import re
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from arena.config.compose import compose_config, explanation
from arena.core.errors import ArenaError, in_one_line
from arena.core.files import write_atomically
from arena.core.text import printable

APART = ("run_dir", "cache_dir", "logger", "launcher", "hydra")
"""Groups of overrides that say where a race runs. They are no part of the name of its folder."""
LONGEST = 150
"""Characters of the longest name of a folder."""
FAILED = "failed.txt"
"""File in the directory of a race of a sweep that failed: why, and the traceback of a bug."""


@dataclass(frozen=True)
class Sweep:
    """The races of one command.

    Args:
        folder: of all its runs.
        members: name of the folder of a race -> its overrides.
    """

    folder: Path
    members: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, overrides: Sequence[str]) -> "Sweep | None":
        """Return the sweep of some overrides, or None if a sweeper other than Hydra's own chooses its races.

        Raises:
            ArenaError: if there are none, or two of them would be the same.
        """
        if not (listed := _members(overrides)):
            raise ArenaError(f"{' '.join(overrides)}: expected one race or more")
        composed = compose_config(listed[0], return_hydra_config=True)
        if composed.hydra.sweeper._target_ != f"{BasicSweeper.__module__}.{BasicSweeper.__name__}":
            return None
        given = any(override.startswith("run_dir=") for override in overrides)
        folder = Path(composed.run_dir if given else composed.hydra.sweep.dir)
        members: dict[str, Sequence[str]] = {}
        for member in listed:
            if (name := member_name(member)) in members:
                raise ArenaError(f"{' '.join(member)}: expected each race of a sweep once, found it twice")
            members[name] = member
        return cls(folder, members)

    def check(self) -> None:
        """Compose and build every race, and write nothing.

        Raises:
            ArenaError: naming the race that cannot be built, or whose directory holds another race.
        """
        from arena.race.build import check_held, plan_race

        for name, overrides in self.members.items():
            try:
                composed = compose_config(overrides)
                composed.run_dir = str(self.folder / name)
                check_held(plan_race(composed))
            except (ArenaError, HydraException, OmegaConfBaseException) as error:
                raise ArenaError(f"{name}: {explanation(error, overrides)}. No race was run") from error

    def failures(self) -> list[str]:
        """Return a line for each race that failed, or that did not end."""
        lines = []
        for name in self.members:
            run = self.folder / name
            if (run / FAILED).is_file():
                lines.append(f"{name}: {(run / FAILED).read_text(encoding='utf-8').partition(chr(10))[0]}")
            elif not (run / "verdict.json").is_file():
                lines.append(f"{name}: it did not end")
        return lines


def member_name(overrides: Sequence[str]) -> str:
    """Return the name of the folder of a race of a sweep: its overrides, in the order of their keys, groups first.

    A name has no character that Hydra or a shell would read in another way. Where that, or its length, drops a part of
    an override, a hash of all overrides ends the name.

    >>> member_name(["seed=1", "access=none", "run_dir=study"])
    'access-none+seed-1'
    """
    kept = [override for override in overrides if re.split(r"[./=@]", override.lstrip("+~"))[0] not in APART]
    kept.sort(key=lambda override: ("." in override.partition("=")[0], override))
    name = "+".join(re.sub(r"[^a-zA-Z0-9_.@]+", "-", override).strip("-") for override in kept) or "default"
    plain = all(re.fullmatch(r"\+?[\w.@]+=[\w.]+", override, re.ASCII) for override in kept)
    if plain and len(name) <= LONGEST:
        return name
    return f"{name[:LONGEST]}-{hashlib.sha256(chr(10).join(kept).encode()).hexdigest()[:8]}"


def note_failure(run: Path, error: Exception) -> None:
    """Say why a race of a sweep failed, on the terminal and in its directory, where the end of the sweep reads it."""
    line = in_one_line(error)
    text = line or f"{type(error).__name__}, a bug\n\n{''.join(traceback.format_exception(error))}"
    print(f"arena: {run.name}: {printable(line) if line else text}", file=sys.stderr)
    with suppress(OSError):  # a full disk may be the reason
        write_atomically(run / FAILED, f"{text}\n".encode())


def _members(overrides: Sequence[str]) -> list[list[str]]:
    """Return the overrides of every race of a sweep, as Hydra expands them."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    (members,) = BasicSweeper.split_arguments(parsed, None)
    return members
