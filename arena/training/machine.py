"""Device and precision of a race, and the Lightning Trainer of each fit."""

import logging
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.loggers import Logger

from arena.core.errors import require
from arena.core.interruption import install_handlers, raise_if_interrupted, stop_at_next_step

Precision = Literal["bf16", "fp32"]

NOWHERE = os.path.join(os.devnull, "lightning")
"""Lightning's folder of checkpoints. It cannot exist, so that nothing is written there or resumed from there."""

# Lightning logs the hardware for every Trainer, and a race creates hundreds.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Machine:
    """Device and precision of training, recorded with every phase. Scoring is always fp32.

    Args:
        device: of all networks.
        precision: of training.
    """

    device: torch.device
    precision: Precision

    @classmethod
    def choose(cls, accelerator: str, precision: str) -> "Machine":
        """Resolve ``auto``: the GPU if there is one, and bf16 if matrix units make it faster than fp32.

        Args:
            accelerator: auto, cpu or gpu.
            precision: auto, bf16 or fp32.

        Raises:
            ArenaError: if a GPU is requested and there is none.
        """
        available = torch.cuda.is_available()
        expected = "auto or cpu, as there is no GPU"
        require(available or accelerator != "gpu", "trainer.accelerator", accelerator, expected)
        gpu = available and accelerator != "cpu"
        device = torch.device("cuda" if gpu else "cpu")
        if precision == "auto":
            faster = torch.cuda.is_bf16_supported() if gpu else torch.cpu._is_amx_tile_supported()
            precision = "bf16" if faster else "fp32"
        return cls(device, "bf16" if precision == "bf16" else "fp32")

    def fit(
        self,
        module: pl.LightningModule,
        steps: range,
        *,
        validate_every: int | None = None,
        callbacks: Sequence[pl.Callback] = (),
        logger: Logger | Literal[False] = False,
    ) -> int:
        """Fit for one epoch of steps with a new Trainer. A Trainer that fits twice trains nothing the second time.

        Args:
            module: trained in place. Its images are in memory, so that a step gets its number as its batch.
            steps: numbers of the steps.
            validate_every: training steps from one validation step to the next, None for no validation.
            callbacks: of the Trainer.
            logger: of the phase.

        Returns:
            The number of optimizer steps.

        Raises:
            Interrupted: at the end of the step in which a signal came.
        """
        trainer = pl.Trainer(
            accelerator="gpu" if self.device.type == "cuda" else "cpu",
            devices=1,
            precision="bf16-mixed" if self.precision == "bf16" else "32-true",
            max_epochs=1,
            logger=logger,
            callbacks=[*callbacks, _Signals()],
            plugins=[LightningEnvironment()],  # this process alone trains, also as a task of SLURM
            default_root_dir=NOWHERE,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            val_check_interval=validate_every or 1,
        )
        with warnings.catch_warnings():
            for noise in (
                ".*LeafSpec.*",  # Lightning uses a deprecated name of torch
                ".*in eval mode at the start of training.*",  # as the average and attacked detectors should be
                "The `srun` command is available.*",  # advice on every machine with SLURM
            ):
                warnings.filterwarnings("ignore", message=noise)
            with stop_at_next_step():
                trainer.fit(module, steps, range(1) if validate_every else None)
        return trainer.global_step


class _Signals(pl.Callback):
    """Stop a fit after the step in which a signal came. Lightning's handler would end the process with code 0."""

    def on_train_start(self, *_: Any, **__: Any) -> None:
        install_handlers()  # Lightning has installed its own

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        raise_if_interrupted()
