"""Set how many threads torch uses, and how long idle ones wait."""

import contextlib
import os
from collections.abc import Iterator

TINY = 16
"""Side in pixels below which one thread trains a generator faster than two."""


def wait_shortly() -> None:
    """Let idle threads of OpenMP sleep soon. Call it before torch is imported; OMP_WAIT_POLICY takes precedence.

    Threads that sleep after a short wait leave their core to the other races of a parallel sweep. Threads that sleep
    at once (OMP_WAIT_POLICY=PASSIVE) make a single race take half as long again.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "500")


@contextlib.contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads inside the context."""
    import torch  # after ``wait_shortly``

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def as_many_as_pay(resolution: int) -> contextlib.AbstractContextManager[None]:
    """Return the context for training a generator: one thread for tiny images, all threads for others."""
    return on_threads(1) if resolution < TINY else contextlib.nullcontext()
