"""From the configuration to the arena: Hydra builds every part here, and nobody below sees a config."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from arena.answer.declared import declared, declared_hash
from arena.arena import Arena
from arena.config import ArenaConfig
from arena.data.reals import RealData
from arena.errors import ArenaError
from arena.records import write_atomically
from arena.training.trainer import Machine

PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "wandb", "scikit-learn", "numpy", "scipy", "kornia", "pillow")


def settings(composed: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, every interpolation resolved."""
    resolved = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def build(config: ArenaConfig, composed: DictConfig, overrides: Sequence[str] = ()) -> Arena:
    """Build every part of a race and claim its run directory.

    Args:
        config: the typed schema, its values checked.
        composed: the same as Hydra composed it, to build the parts from and to write down.
        overrides: as given on the command line, written down beside it.

    Raises:
        ArenaError: for a value no part can be built with, or a run directory that holds another race.
    """
    data: RealData = _part(composed.data, "data")
    data.prepare_data()
    data.setup()
    machine = Machine.choose(config.trainer.accelerator, config.trainer.precision)
    evidence = _part(composed.evidence, "evidence", levels=composed.evidence.levels or data.levels)
    reals = data.part("generator").images
    determines = {"reals": hashlib.sha256(reals.numpy().tobytes()).hexdigest(), "evidence": repr(evidence)} | {
        key: OmegaConf.to_container(composed[key], resolve=True) for key in ("generator", "loss")
    }
    run = Path(config.run_dir)
    arena = Arena(
        run=run,
        cache=Path(config.cache_dir).expanduser(),
        seed=config.seed,
        rounds=config.race.rounds,
        margin=config.answer.margin,
        data=data,
        evidence=evidence,
        generator=_part(composed.generator, "generator"),
        generator_key=json.dumps(determines, sort_keys=True),
        loss=_part(composed.loss, "loss"),
        access=_part(composed.access, "access"),
        objective=_part(composed.objective, "objective"),
        pool=_part(composed.pool, "pool"),
        members={name: _part(node, f"battery.members.{name}") for name, node in composed.battery.members.items()},
        stack=None if composed.battery.stack is None else _part(composed.battery.stack, "battery.stack"),
        battery=config.battery,
        schedule=config.schedule,
        bank=config.bank,
        judge=config.judge,
        machine=machine,
        tracker=_part(composed.logger, "logger"),
    )
    _claim(run, settings(composed), _environment(machine, overrides))
    return arena


def _part(node: DictConfig, key: str, **values: Any) -> Any:
    """What a node's ``_target_`` builds.

    Raises:
        ArenaError: naming the key, if it cannot be built.
    """
    try:
        return instantiate(node, _convert_="all", **values)
    except InstantiationException as error:
        if isinstance(error.__cause__, ArenaError):
            raise error.__cause__ from error
        reason = str(error.__cause__ or error).splitlines()[0]
        raise ArenaError(f"{key}: cannot be built ({reason})") from error


def _claim(run: Path, config: dict[str, Any], environment: dict[str, Any]) -> None:
    """Write ``config.yaml`` into a new run directory, or find the same race in an old one.

    Raises:
        ArenaError: if the directory holds a race with other settings.
    """
    path = run / "config.yaml"
    entry = config | {"declared": declared_hash(declared(config)), "environment": environment}
    if path.is_file():
        old = OmegaConf.to_container(OmegaConf.load(path))
        assert isinstance(old, dict)
        free = ("environment", "logger", "cache_dir", "run_dir")
        differing = [key for key in entry if key not in free and old.get(key) != entry[key]]
        if differing:
            raise ArenaError(f"run_dir={run}: holds a race with other settings of {', '.join(differing)}")
        return
    write_atomically(path, OmegaConf.to_yaml(OmegaConf.create(entry)).encode())


def _environment(machine: Machine, overrides: Sequence[str]) -> dict[str, Any]:
    """Command, commit, versions and machine: what a reader needs to know besides the settings."""
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    packages = {}
    for package in ("arena-race", *PACKAGES):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "not installed as a package"
    return {
        "overrides": list(overrides),
        "git_commit": git.stdout.strip() or None,
        "packages": packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "device": str(machine.device),
        "precision": machine.precision,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
