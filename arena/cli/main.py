"""The entry point ``arena``: a race by default, or a subcommand. Every error is one line."""

import os
import sys
from collections.abc import Sequence

from arena.core.errors import ArenaError, in_one_line
from arena.core.interruption import Interrupted, interruptible
from arena.core.text import printable

INTERNAL = "detector/network"
"""Group whose only option is a part of other options. The help does not list it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a race or a subcommand.

    Args:
        arguments: of the command line, without the program. Default: those of this process. ``--allow-code`` may stand
            anywhere among them.

    Returns:
        The exit code: 0, 1 if races of a sweep failed, 2 after an error, 130 after Ctrl-C, or 143 after another signal
        that asks for a stop.
    """
    try:
        with interruptible():
            return run_command(sys.argv[1:] if arguments is None else list(arguments))
    except Interrupted as interruption:
        print("; ".join(filter(None, ["arena: interrupted", interruption.advice])), file=sys.stderr)
        return interruption.exit_code


def run_command(arguments: Sequence[str]) -> int:
    """Run a race or a subcommand, and return the exit code: 0, 1 if races of a sweep failed, or 2 after an error.

    Other modules are imported here, where a signal is already handled.
    """
    from arena.cli.subcommands import COMMANDS
    from arena.config.trust import allow_code, take_flag

    wait_shortly()
    try:
        refuse_several_tasks()
        allowed, arguments = take_flag(arguments)
        allow_code(allowed)
        first = arguments[0] if arguments else ""
        if arguments in (["--help"], ["-h"]):
            print(usage())
        elif first in COMMANDS:
            COMMANDS[first](arguments[1:])
        elif not first or "=" in first or first.startswith(("-", "~")):
            from arena.cli.race import run_race_command

            return run_race_command(arguments)
        else:
            raise ArenaError(f"{first}: expected an override such as seed=1, or one of {', '.join(COMMANDS)}")
    except BrokenPipeError:  # the reader of our output closed it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it at the end
    except Exception as error:
        if (line := in_one_line(error)) is None:
            raise
        if os.environ.get("SLURM_PROCID", "0") == "0":  # of several tasks, one says it
            print(f"arena: {printable(line)}", file=sys.stderr)
        return 2
    return 0


def refuse_several_tasks() -> None:
    """Raise an ``ArenaError`` in each of several tasks of SLURM, which would all run the same command."""
    tasks = os.environ.get("SLURM_STEP_NUM_TASKS", "1")
    if tasks not in ("", "1"):
        raise ArenaError(f"srun --ntasks={tasks}: expected one task, as a race uses one process of one machine")


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
    import yaml

    from arena.config.compose import CONF

    text = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))["hydra"]["help"]
    options: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/**/*.yaml")):
        options.setdefault(path.parent.relative_to(CONF).as_posix(), []).append(path.stem)
    groups = "".join(f"{group}: {', '.join(names)}\n" for group, names in sorted(options.items()) if group != INTERNAL)
    template = text["template"].replace("${hydra.help.header}", text["header"])
    return template.replace("$APP_CONFIG_GROUPS", groups).rstrip()
