"""What the figures depend on besides the code: processor, threads, versions, and who else is at work."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version

import torch

from arena.core.machine import processor

BUSY = 0.25
"""Load average a core at the start, from which on figures are of a machine that others use too."""


@dataclass(frozen=True)
class MachineFacts:
    """Of this machine, now.

    Args:
        processor: its name.
        capability: the widest instructions torch uses, such as AVX512.
        bf16_matrix_units: whether the processor has AMX, or the GPU bf16.
        gpu: its name, or None.
        cores: as the system counts them.
        threads: that torch computes with.
        load: average of the last minute.
        python: version.
        torch: version.
        lightning: version.
    """

    processor: str
    capability: str
    bf16_matrix_units: bool
    gpu: str | None
    cores: int
    threads: int
    load: float
    python: str
    torch: str
    lightning: str

    @classmethod
    def now(cls) -> "MachineFacts":
        """Look."""
        gpu = torch.cuda.is_available()
        return cls(
            processor=processor(),
            capability=torch.backends.cpu.get_cpu_capability(),
            bf16_matrix_units=torch.cuda.is_bf16_supported() if gpu else torch.cpu._is_amx_tile_supported(),
            gpu=torch.cuda.get_device_name() if gpu else None,
            cores=os.cpu_count() or 1,
            threads=torch.get_num_threads(),
            load=os.getloadavg()[0],
            python=platform.python_version(),
            torch=torch.__version__,
            lightning=version("pytorch-lightning"),
        )

    @property
    def busy(self) -> bool:
        """Whether others are at work."""
        return self.load > BUSY * self.cores

    def __str__(self) -> str:
        device = self.processor if self.gpu is None else f"{self.gpu}, {self.processor}"
        units = "with" if self.bf16_matrix_units else "without"
        return (
            f"{device} ({self.capability}, {units} bf16 matrix units), {self.threads} threads on {self.cores} cores, "
            f"load {self.load:.1f}; torch {self.torch}, Lightning {self.lightning}, Python {self.python}"
        )
