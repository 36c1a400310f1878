"""Run many small networks in parallel, each on one thread."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from arena.core.threads import on_threads

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(work: Callable[[T], R], items: Sequence[T], device: torch.device) -> list[R]:
    """Return the result of ``work`` for every item, in order; on the CPU one item a thread at the same time.

    A small network cannot use several threads, so several of them run at once. Each item is computed in its own order
    of operations, and its result does not depend on the number of threads. Only an item that is alone has all threads,
    which may change its last digits. Gradient, inference and autocast modes are those of the caller.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(items) == 1:
        return [work(item) for item in items]
    autocast, dtype = torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def in_mode_of_the_caller(item: T) -> R:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradients),
            torch.autocast(device.type, dtype=dtype, enabled=autocast),
        ):
            return work(item)

    pool = _pool(threads)
    with on_threads(1):  # the number of threads of matrix products belongs to the whole process
        return list(pool.map(in_mode_of_the_caller, items))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="detector", initializer=torch.set_num_threads, initargs=(1,))
