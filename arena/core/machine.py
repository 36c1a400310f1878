"""Describe the machine: the processor, and the peak memory of this process."""

import platform
import resource
from pathlib import Path

import torch


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
