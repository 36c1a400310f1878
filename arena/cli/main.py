"""The entry point ``arena``: a race by default, or a subcommand. Every error is one line."""

import os
import sys
from collections.abc import Sequence

import yaml

from arena.cli.subcommands import COMMANDS
from arena.config.compose import CONF
from arena.core.errors import ArenaError

INTERNAL = "detector/network"
"""Group whose only option is a part of other options. The help does not list it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a race or a subcommand.

    Args:
        arguments: of the command line, without the program. Default: those of this process.

    Returns:
        The exit code: 0, 2 after an error, or 130 after an interruption.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    first = arguments[0] if arguments else ""
    wait_shortly()
    try:
        if arguments in (["--help"], ["-h"]):
            print(usage())
        elif first in COMMANDS:
            COMMANDS[first](arguments[1:])
        elif not first or "=" in first or first.startswith(("-", "~")):
            from arena.cli.race import run_race_command

            run_race_command(arguments)
        else:
            raise ArenaError(f"{first}: expected an override such as seed=1, or one of {', '.join(COMMANDS)}")
    except BrokenPipeError:  # the reader of our output closed it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it at the end
    except KeyboardInterrupt as interruption:
        print("; ".join(["arena: interrupted", *map(str, interruption.args)]), file=sys.stderr)
        return 130
    except (ArenaError, OSError) as error:
        if not isinstance(error, ArenaError) and first not in COMMANDS:
            raise
        print(f"arena: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def wait_shortly() -> None:
    """Let idle threads of OpenMP sleep soon. Call it before torch is imported; OMP_WAIT_POLICY takes precedence.

    Threads that sleep after a short wait leave their core to the other races of a parallel sweep. Threads that sleep
    at once (OMP_WAIT_POLICY=PASSIVE) make a single race take half as long again.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "500")


def usage() -> str:
    """Return the help of the program: the template in conf/config.yaml, with the groups of conf/.

    Hydra prints the same for ``--help`` beside other flags, and takes seconds.
    """
    text = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["hydra"]["help"]
    options: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/**/*.yaml")):
        options.setdefault(path.parent.relative_to(CONF).as_posix(), []).append(path.stem)
    groups = "".join(f"{group}: {', '.join(names)}\n" for group, names in sorted(options.items()) if group != INTERNAL)
    template = text["template"].replace("${hydra.help.header}", text["header"])
    return template.replace("$APP_CONFIG_GROUPS", groups).rstrip()
