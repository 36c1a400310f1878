"""Run a race of a sweep in a process that one of Hydra's launchers has started: joblib or submitit."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec

from arena.core.errors import ArenaError
from arena.core.interruption import SIGNALS, Interrupted, interruptible

PACKAGES = {
    "launcher=local": "hydra_plugins.hydra_joblib_launcher",
    "launcher=cluster": "hydra_plugins.hydra_submitit_launcher",
}
"""Launchers that are packages of their own. An extra of the same name installs each."""


def check_launcher(overrides: Sequence[str], multirun: bool) -> None:
    """Refuse a launcher where there is no sweep to launch, or whose package is not installed.

    Raises:
        ArenaError: naming the flag or the package that is missing.
    """
    for override in filter(PACKAGES.__contains__, overrides):
        if not multirun:
            raise ArenaError(f"{override}: expected the flag -m, since a launcher runs the races of a sweep")
        if not _is_installed(PACKAGES[override]):
            extra = override.partition("=")[2]
            raise ArenaError(f"{override}: expected its package (pip install 'arena-race[{extra}]')")


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # not even the namespace of Hydra's plugins
        return False


@contextmanager
def launched_by(launcher: str) -> Iterator[None]:
    """Handle signals and the end of the parent as a launcher expects it of the process of a race.

    A process of joblib leaves signals to its parent, and ends with it. A job of submitit stops as any race does. Then
    it leaves the signal to submitit, which queues the job again if its time is over or another job needs its place.

    Args:
        launcher: its ``_target_``. Hydra's own runs each race in this process, and nothing is changed.
    """
    if "joblib" in launcher:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        yield
    elif "submitit" in launcher:
        try:
            with interruptible():
                yield
        except Interrupted as interruption:
            print("arena: interrupted; the job continues the race if it is queued again", file=sys.stderr, flush=True)
            os.kill(os.getpid(), interruption.number)  # submitit handles it now
            sys.exit(interruption.exit_code)
    else:
        yield


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
