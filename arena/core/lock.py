"""Keep two processes out of one run directory."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from arena.core.errors import ArenaError
from arena.core.files import write_atomically

LOCK, OWNER = ".lock", ".owner"
"""Files in the run directory: one that the operating system locks, and one that names the process that holds it."""
HEARTBEAT = 10.0
"""Seconds after which the process that holds a run renews the time of its ``OWNER`` file."""
DEAD_AFTER = 60.0
"""Age of the ``OWNER`` file, in seconds, from which a process on another host counts as dead."""


@contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold a run directory, which exists, alone.

    The lock of the operating system ends with its process, however that ends. Some network file systems keep it from
    other hosts. There the owner's file counts while its time is renewed. Both times are those of the file system, so
    that clocks of two hosts may differ.

    Raises:
        ArenaError: if another process holds the directory, with its host and number.
    """
    lock, owner = FileLock(run / LOCK, timeout=0), run / OWNER
    try:
        lock.acquire()
    except Timeout:
        raise ArenaError(_refusal(run, _owner_of(owner))) from None
    try:
        host, process = _owner_of(owner)
        if host != socket.gethostname() and _seconds_since(owner) < DEAD_AFTER:
            more = f" (if it has ended, try again in {DEAD_AFTER:.0f} s)"
            raise ArenaError(_refusal(run, (host, process)) + more)
        write_atomically(owner, json.dumps({"host": socket.gethostname(), "process": os.getpid()}).encode())
        ended = threading.Event()
        threading.Thread(target=_renew, args=(owner, ended), daemon=True).start()
        try:
            yield
        finally:
            ended.set()
            owner.unlink(missing_ok=True)
    finally:
        lock.release()


def _refusal(run: Path, owner: tuple[str, int]) -> str:
    host, process = owner
    found = f"process {process} on {host}" if host else "another process"
    return f"run_dir={run}: expected a run that no other process works on, found {found}"


def _owner_of(path: Path) -> tuple[str, int]:
    """Return host and process of an owner's file, no host if there is none that can be read."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return str(owner["host"]), int(owner["process"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", 0


def _seconds_since(owner: Path) -> float:
    """Return the seconds since the owner's file was renewed, by the clock of the file system. Infinite without one."""
    lock = owner.with_name(LOCK)
    os.utime(lock)
    try:
        with owner.open("rb") as file:  # a network file system looks up the time when a file is opened
            return lock.stat().st_mtime - os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return float("inf")


def _renew(owner: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT):
        with suppress(OSError):  # a file system that does not answer for a while
            os.utime(owner)
