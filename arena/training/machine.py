"""A fresh Lightning Trainer for every phase, and the precision decided once at the start."""

import logging
import signal
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger
from torch.utils.data import DataLoader

from arena.core.errors import require

Precision = Literal["bf16", "fp32"]
StepLoader = DataLoader[int]

# Lightning tells of every Trainer what it found on the machine; here a race makes hundreds.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Machine:
    """Where and how a race trains: recorded with every phase. Scoring is always fp32."""

    device: torch.device
    precision: Precision

    @classmethod
    def choose(cls, accelerator: str, precision: str) -> "Machine":
        """Decide ``auto``: the GPU where there is one; bf16 where matrix units make it pay, fp32 elsewhere.

        Args:
            accelerator: auto, cpu or gpu.
            precision: auto, bf16 or fp32.

        Raises:
            ArenaError: where a GPU is asked for and there is none.
        """
        found = torch.cuda.is_available()
        require(found or accelerator != "gpu", "trainer.accelerator", accelerator, "auto or cpu, as there is no GPU")
        gpu = found and accelerator != "cpu"
        device = torch.device("cuda" if gpu else "cpu")
        if precision == "auto":
            pays = torch.cuda.is_bf16_supported() if gpu else torch.cpu._is_amx_tile_supported()
            precision = "bf16" if pays else "fp32"
        return cls(device, "bf16" if precision == "bf16" else "fp32")

    def fit(
        self,
        module: pl.LightningModule,
        train: StepLoader,
        validation: StepLoader | None = None,
        *,
        callbacks: Sequence[pl.Callback] = (),
        logger: Logger | Literal[False] = False,
        validate_every: int = 1,
    ) -> int:
        """Fit once, with a fresh Trainer, for one epoch of ticks; say how many optimizer steps that took.

        A Trainer that fits twice silently trains nothing the second time.

        Raises:
            KeyboardInterrupt: where Lightning would have ended the process.
        """
        handler = signal.getsignal(signal.SIGINT)
        trainer = pl.Trainer(
            accelerator="gpu" if self.device.type == "cuda" else "cpu",
            devices=1,
            precision="bf16-mixed" if self.precision == "bf16" else "32-true",
            max_epochs=1,
            logger=logger,
            callbacks=list(callbacks),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            val_check_interval=validate_every,
        )
        with warnings.catch_warnings():
            for noise in (
                ".*does not have many workers.*",  # the images are in memory: there is nothing for workers to do
                ".*LeafSpec.*",  # Lightning's own use of a deprecated name of torch
                ".*in eval mode at the start of training.*",  # the average, and attacked detectors, are meant to be
            ):
                warnings.filterwarnings("ignore", message=noise)
            try:
                trainer.fit(module, train, validation)
            except SystemExit as ended:
                if not isinstance(ended.__context__, KeyboardInterrupt):
                    raise
                # On Ctrl-C Lightning ends with exit code 1 and leaves the signal ignored; a race ends as interrupted.
                signal.signal(signal.SIGINT, handler)
                raise KeyboardInterrupt from ended
        return trainer.global_step


def step_loader(start: int, stop: int) -> StepLoader:
    """A loader that only counts the steps of a phase: the images are in memory, and each step draws its own."""
    return DataLoader(range(start, stop), batch_size=None)  # type: ignore[arg-type]
