"""Threads of OpenMP: how they wait for each other, and how many pay."""

import contextlib
import os
from collections.abc import Iterator

TINY = 16
"""Side in pixels below which one thread trains a generator faster than two: handing its small steps out costs more."""


def wait_shortly() -> None:
    """Let idle threads sleep soon; call it before torch is imported, and OMP_WAIT_POLICY, where it is set, decides.

    Threads that wait shortly and then sleep leave their core to the other members of a parallel sweep; to sleep at once
    (OMP_WAIT_POLICY=PASSIVE) costs a race that is alone half as much time again.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "500")


@contextlib.contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Let torch run on that many threads for a while."""
    import torch  # not before wait_shortly was called

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def as_many_as_pay(resolution: int) -> contextlib.AbstractContextManager[None]:
    """Train a generator of images of that side on one thread where they are tiny, on all there are where not."""
    return on_threads(1) if resolution < TINY else contextlib.nullcontext()
