"""Many small detectors at work side by side: a thread a processor core, each with one thread of its own."""

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

from arena.core.threads import on_threads

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(work: Callable[[T], R], items: Sequence[T], device: torch.device) -> list[R]:
    """``work`` on every item, in order; on a processor as many at once as there are threads.

    Networks so small keep one thread busy and not two; side by side they keep all. What is computed does not depend on
    how many there are, but for the last digits of one that is alone and has all threads: each item's arithmetic runs in
    its own order. Autocasting is that of the caller.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads == 1 or len(items) == 1:
        return [work(item) for item in items]
    casting, dtype = torch.is_autocast_enabled(device.type), torch.get_autocast_dtype(device.type)
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def as_the_caller(item: T) -> R:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(gradients),
            torch.autocast(device.type, dtype=dtype, enabled=casting),
        ):
            return work(item)

    pool = _pool(threads)
    with on_threads(1):  # of matrix products, whose number of threads is the process's
        return list(pool.map(as_the_caller, items))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="detector", initializer=torch.set_num_threads, initargs=(1,))
