"""The entry point ``arena``: a race by default, or a subcommand. Every error is one line."""

import os
import sys
from collections.abc import Callable, Sequence

import yaml

from arena.cli.bench import bench
from arena.cli.networks import mix, score
from arena.cli.runs import answer, dashboard, figures, report
from arena.cli.studies import calibration, sensitivity
from arena.config.compose import CONF
from arena.core.errors import ArenaError
from arena.core.threads import wait_shortly

COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    command.__name__: command
    for command in (answer, figures, report, score, mix, sensitivity, calibration, dashboard, bench)
}
"""Subcommands by name. None imports torch before its arguments are parsed."""


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


def usage() -> str:
    """Return the help of the program: the template in conf/config.yaml, with the groups of conf/.

    Hydra prints the same for ``--help`` beside other flags, and takes seconds.
    """
    text = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["hydra"]["help"]
    options: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/**/*.yaml")):
        options.setdefault(path.parent.relative_to(CONF).as_posix(), []).append(path.stem)
    groups = "".join(f"{group}: {', '.join(names)}\n" for group, names in sorted(options.items()))
    template = text["template"].replace("${hydra.help.header}", text["header"])
    return template.replace("$APP_CONFIG_GROUPS", groups).rstrip()


if __name__ == "__main__":
    sys.exit(main())
