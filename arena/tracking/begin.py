"""The beginning of the W&B run of a race, or its going on."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from wandb import Run

Mode = Literal["offline", "online", "none"]

INIT_TIMEOUT, LOGIN_TIMEOUT, FINISH_TIMEOUT = 15, 5, 60
"""Seconds a race waits for W&B: to begin, to log in, and to send what is left at the end."""
NAME, TAG = 128, 64
"""Most characters W&B takes for a name or a group, and for a tag."""


class Labels(NamedTuple):
    """By what runs are found and set side by side: a sweep is a group, a job type the condition."""

    name: str
    group: str
    job_type: str
    tags: Sequence[str]


def begin(
    mode: Literal["offline", "online"],
    run: Path,
    project: str,
    entity: str | None,
    settings: Mapping[str, object],
    labels: Labels,
) -> "Run":
    """Begin the W&B run of a run directory, always of the same id.

    Args:
        mode: offline, or online.
        run: the run directory; W&B's files go to ``run/wandb``.
        project: on W&B.
        entity: user or team on W&B, None for the default one.
        settings: the resolved config, shown on W&B.
        labels: what it is called and grouped by.

    Raises:
        ConnectionError: where there is no key. W&B raises what it likes besides.
    """
    import wandb

    wandb.setup(settings=wandb.Settings(silent=True))
    if mode == "online" and not wandb.login(prompt=False, timeout=LOGIN_TIMEOUT):
        raise ConnectionError("no API key: `wandb login` stores one")
    return wandb.init(
        mode=mode,
        project=project,
        entity=entity,
        dir=run,
        id=_identity(run),
        name=labels.name[:NAME],
        group=labels.group[:NAME],
        job_type=labels.job_type,
        tags=[tag[:TAG] for tag in labels.tags],
        config=dict(settings),
        resume="allow" if mode == "online" else None,
        reinit="finish_previous",
        settings=wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            x_disable_stats=True,
            init_timeout=INIT_TIMEOUT,
            login_timeout=LOGIN_TIMEOUT,
            finish_timeout=FINISH_TIMEOUT,
        ),
    )


def _identity(run: Path) -> str:
    """The id of the W&B run, drawn once a run directory."""
    path = run / "wandb" / "id"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(4), encoding="utf-8")
    return path.read_text(encoding="utf-8").strip()
