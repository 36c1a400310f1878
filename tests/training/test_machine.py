import os
import signal
import time
from collections.abc import Callable
from contextlib import nullcontext

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from arena.core.errors import ArenaError
from arena.core.interruption import PATIENCE, SIGNALS, Interrupted, interruptible
from arena.training.machine import Machine
from tests.detectors.planted import CPU


class Count(pl.LightningModule):
    """One weight that decreases by 1 at every step. ``before_step`` is called first."""

    def __init__(self, before_step: Callable[[int], None] = lambda step: None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))
        self.steps: list[int] = []
        self.before_step = before_step
        self.validations = 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, step: int) -> Tensor:
        self.before_step(step)
        self.steps.append(step)
        return self.weight * 1.0

    def validation_step(self, step: int) -> None:
        self.validations += 1


# accelerator, precision, GPU there, its bf16, matrix units of the CPU, expected device and precision
MACHINES = [
    ("auto", "auto", False, False, False, "cpu", "fp32"),
    ("auto", "auto", False, False, True, "cpu", "bf16"),
    ("auto", "auto", True, True, False, "cuda", "bf16"),
    ("auto", "auto", True, False, True, "cuda", "fp32"),
    ("cpu", "auto", True, True, False, "cpu", "fp32"),
    ("cpu", "auto", True, False, True, "cpu", "bf16"),
    ("gpu", "auto", True, True, False, "cuda", "bf16"),
    ("cpu", "bf16", False, False, False, "cpu", "bf16"),
    ("auto", "fp32", True, True, True, "cuda", "fp32"),
]


@pytest.mark.parametrize(("accelerator", "precision", "gpu", "gpu_bf16", "amx", "device", "expected"), MACHINES)
def test_auto_chooses_gpu_and_bf16_if_fast(monkeypatch, accelerator, precision, gpu, gpu_bf16, amx, device, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: gpu_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    machine = Machine.choose(accelerator, precision)
    assert (machine.device.type, machine.precision) == (device, expected)


def test_a_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArenaError, match=r"trainer.accelerator=gpu: expected .*cpu"):
        Machine.choose("gpu", "auto")


def test_two_fits_in_a_row_both_train():
    module = Count()
    assert CPU.fit(module, range(5), validate_every=1) == 5
    assert CPU.fit(module, range(5, 8), validate_every=1) == 3
    assert module.steps == list(range(8))
    assert float(module.weight.detach()) == -8


def test_validation_runs_at_its_interval():
    module = Count()
    CPU.fit(module, range(10), validate_every=3)
    assert module.validations == 3


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_a_step_computes_in_the_chosen_precision(precision, dtype):
    dtypes = []
    one = torch.ones(2, 2)
    module = Count(lambda step: dtypes.append((one @ one).dtype))
    Machine(torch.device("cpu"), precision).fit(module, range(1), validate_every=1)
    assert dtypes == [dtype]
    assert module.weight.dtype == torch.float32


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("handled", [True, False])
def test_a_signal_ends_a_fit_after_its_step_and_keeps_the_signal_handlers(number, handled):
    def interrupt(step: int) -> None:
        if step == 2:
            os.kill(os.getpid(), number)

    before = [signal.getsignal(each) for each in SIGNALS]
    module = Count(interrupt)
    with pytest.raises(Interrupted) as interruption, interruptible() if handled else nullcontext():
        CPU.fit(module, range(5), validate_every=1)
    assert module.steps == [0, 1, 2]
    assert interruption.value.between_steps
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_second_signal_ends_a_fit_within_a_step():
    def interrupt(_step: int) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE + 0.2)
        os.kill(os.getpid(), signal.SIGTERM)

    module = Count(interrupt)
    with pytest.raises(Interrupted) as interruption:
        CPU.fit(module, range(5), validate_every=1)
    assert module.steps == []
    assert not interruption.value.between_steps


def test_a_job_of_slurm_changes_no_fit(tmp_path, monkeypatch):
    """A checkpoint that another program of the job left, the command srun, and a job of two tasks."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hpc_ckpt_1.ckpt").write_bytes(b"of another network")
    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    for name, value in {"JOB_ID": "7", "NTASKS": "2", "PROCID": "0", "LOCALID": "0", "JOB_NAME": "race"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    module = Count()
    assert CPU.fit(module, range(3), validate_every=1) == 3
    monkeypatch.delenv("SLURM_NTASKS")  # a login node
    assert CPU.fit(module, range(3), validate_every=1) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"hpc_ckpt_1.ckpt", "srun"}


def test_an_error_inside_a_fit_is_raised_unchanged():
    def fail(step: int) -> None:
        raise ArenaError("generator.learning_rate=9: diverged")

    with pytest.raises(ArenaError, match="diverged"):
        CPU.fit(Count(fail), range(5), validate_every=1)
