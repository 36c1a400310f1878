"""``python -m arena.dashboard --entity E --project P``: lay out a project on W&B as ``docs/dashboard.md`` describes."""

import argparse
import sys
from collections.abc import Iterator, Sequence

from arena.core.errors import first_line
from arena.tracking.dashboard import COLUMNS, LAYOUT

TIMEOUT = 5
"""Seconds to find out whether there is a key."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Create the view, print its address, and return the exit code: 0, or 2 where it cannot be created."""
    parser = argparse.ArgumentParser(prog="python -m arena.dashboard", description=__doc__)
    parser.add_argument("--entity", required=True, help="user or team on W&B")
    parser.add_argument("--project", default="arena", help="logger.project of the races (arena)")
    parser.add_argument("--name", default="arms race", help="of the view; every call makes a new one (arms race)")
    parser.add_argument("--dry-run", action="store_true", help="print the layout; needs neither W&B nor a key")
    given = parser.parse_args(arguments)
    if given.dry_run:
        print("\n".join(in_words()))
        return 0
    try:
        print(_create(given.entity, given.project, given.name))
    except ImportError:
        print(
            'error: expected wandb-workspaces, which the extra brings: pip install "arena-race[dashboard]"',
            file=sys.stderr,
        )
        return 2
    except Exception as error:  # W&B's client and server raise whatever they like
        print(f"error: W&B did not create the view: {first_line(error)}", file=sys.stderr)
        return 2
    return 0


def in_words() -> Iterator[str]:
    """The layout, a line a panel."""
    yield f"columns: {', '.join(COLUMNS)}"
    for section in LAYOUT:
        yield section.name
        for panel in section.panels:
            over = f" over {panel.axis}" if panel.kind == "lines" else ""
            yield f"  {panel.title}: {panel.kind} of {', '.join(panel.metrics)}{over}"


def _create(entity: str, project: str, name: str) -> str:
    import wandb

    from arena.tracking.dashboard import workspace

    wandb.setup(settings=wandb.Settings(silent=True))
    if not wandb.login(prompt=False, timeout=TIMEOUT):
        raise ConnectionError("no API key: `wandb login` stores one")
    return workspace(entity, project, name).save().url


if __name__ == "__main__":
    sys.exit(main())
