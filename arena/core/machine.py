"""Describe the machine, and use its threads."""

import contextlib
import functools
import os
import platform
import resource
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

import joblib
import torch

TINY = 16
"""Side in pixels below which one thread trains a generator faster than two."""

_AT_ONCE: ContextVar[int] = ContextVar("items at once", default=1)

T = TypeVar("T")
R = TypeVar("R")


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def peak_memory_mib(on_gpu: bool) -> float:
    """Return the peak of the GPU's memory since it was last reset, or the peak of this process, in MiB."""
    if on_gpu:
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in bytes on macOS
    # A new process inherits ``ru_maxrss`` from its parent on Linux. ``VmHWM`` is its own peak.
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(kilobytes) / 1024


def use_allowed_cores() -> None:
    """Let torch have no more threads than this process may use cores. ``OMP_NUM_THREADS`` takes precedence.

    The limits are the affinity of the process, the quota of its control group, and ``SLURM_CPUS_PER_TASK``.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    of_task = os.environ.get("SLURM_CPUS_PER_TASK", "")
    limits = [joblib.cpu_count(), *([int(of_task)] if of_task.isdecimal() else [])]
    torch.set_num_threads(max(1, min(torch.get_num_threads(), *limits)))


@contextlib.contextmanager
def on_threads(count: int) -> Iterator[None]:
    """Let torch use ``count`` threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def at_once(count: int) -> Iterator[None]:
    """Let ``parallel_map`` work on ``count`` items at the same time, even where torch has fewer threads.

    In the work on one of several items, ``parallel_map`` works on one at a time.
    """
    token = _AT_ONCE.set(count)
    try:
        yield
    finally:
        _AT_ONCE.reset(token)


def most_at_once() -> int:
    """Return on how many items ``parallel_map`` works at the same time: threads of torch, or more by ``at_once``."""
    return max(torch.get_num_threads(), _AT_ONCE.get())


def as_many_as_pay(resolution: int) -> contextlib.AbstractContextManager[None]:
    """Return the context for training a generator: one thread for tiny images, all threads for others."""
    return on_threads(1) if resolution < TINY else contextlib.nullcontext()


def parallel_map(
    work: Callable[[T], R],
    items: Sequence[T],
    device: torch.device,
    alone: Callable[[T], bool] = lambda item: False,
) -> list[R]:
    """Return the result of ``work`` for every item, in order; on the CPU ``most_at_once`` of them at the same time.

    A small network cannot use several threads, so several of them run at once. Each item is computed in its own order
    of operations, and its result does not depend on the number of threads. Only an item that is alone has all threads
    of torch. This may change its last digits. Gradient, inference and autocast modes are those of the caller.

    Args:
        work: of one item.
        items: to work on.
        device: of the work.
        alone: whether an item is worked on by itself, after the others, as one that draws from torch's global streams.
    """
    if any(map(alone, items)):
        others = iter(parallel_map(work, [item for item in items if not alone(item)], device))
        return [work(item) if alone(item) else next(others) for item in items]
    threads = most_at_once()
    if device.type != "cpu" or threads == 1 or len(items) == 1:
        return [work(item) for item in items]
    autocast, dtype = torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
    cache = torch.is_autocast_cache_enabled()  # it would hide a step of an optimiser from the rest of an item's work
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def in_mode_of_the_caller(item: T) -> R:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradients),
            torch.autocast(device.type, dtype=dtype, enabled=autocast, cache_enabled=cache),
        ):
            return work(item)

    pool = _pool(threads)
    with on_threads(1):  # the number of threads of matrix products belongs to the whole process
        return list(pool.map(in_mode_of_the_caller, items))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="detector", initializer=torch.set_num_threads, initargs=(1,))
