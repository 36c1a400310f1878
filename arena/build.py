"""From the configuration to the arena: Hydra builds every part here, and nobody below sees a config."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from arena.answer.conditions import leaves
from arena.answer.declared import declared, declared_hash, hash_of_reals, read_config
from arena.arena import Arena
from arena.config import ArenaConfig
from arena.data.reals import RealData
from arena.errors import ArenaError
from arena.parts import SHAPE, check_keys, part
from arena.records import write_atomically
from arena.start import Start
from arena.training.trainer import Machine

NAMED = 3
"""Differing settings named before the rest is only counted."""
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
    check_schema(config, composed)
    machine = Machine.choose(config.trainer.accelerator, config.trainer.precision)
    data: RealData = part(composed.data, "data")
    data.prepare_data()
    data.setup()
    levels = OmegaConf.select(composed, "evidence.levels")
    evidence = part(composed.evidence, "evidence", levels=data.levels if levels is None else levels)
    generator = part(composed.generator, "generator", SHAPE)
    if generator(resolution=data.resolution, channels=data.channels, levels=data.levels).outside:
        data.split_for_judging()
    reals = data.part("generator").images
    determines = {"reals": hashlib.sha256(reals.numpy().tobytes()).hexdigest(), "evidence": repr(evidence)} | {
        key: OmegaConf.to_container(composed[key], resolve=True)
        for key in ("generator", "loss", "augmentation", "features")
    }
    # Of the files, too, a run is the same only while they are: one photograph more is another split.
    made_of: dict[str, object] = {"reals": determines["reals"]}
    run = Path(config.run_dir)
    arena = Arena(
        run=run,
        cache=Path(config.cache_dir).expanduser(),
        seed=config.seed,
        rounds=config.race.rounds,
        margin=config.answer.margin,
        data=data,
        evidence=evidence,
        generator=generator,
        generator_key=json.dumps(determines, sort_keys=True),
        loss=part(composed.loss, "loss"),
        augmentation=part(composed.augmentation, "augmentation"),
        access=part(composed.access, "access"),
        objective=part(composed.objective, "objective"),
        pool=part(composed.pool, "pool"),
        members={
            str(name): part(node, f"battery.members.{name}", SHAPE) for name, node in composed.battery.members.items()
        },
        stack=None if composed.battery.stack is None else part(composed.battery.stack, "battery.stack", ["members"]),
        bag=None if composed.battery.bag is None else part(composed.battery.bag, "battery.bag"),
        battery=config.battery,
        schedule=config.schedule,
        bank=config.bank,
        judge=config.judge,
        features=part(composed.features, "features"),
        machine=machine,
        tracker=part(composed.logger, "logger"),
        start=None if config.race.start is None else Start.of(config.race.start, settings(composed) | made_of),
    ).enlisted()
    arena.check()
    _make(arena.cache, "cache_dir")
    made_of |= {"fingerprint": arena.fingerprint} if arena.fingerprint else {}
    made_of |= {"images": dict(arena.shape), "judge_reals": hash_of_reals(arena.judge_reals.ids)}
    made_of |= {"left_out": arena.left_out} if arena.left_out else {}
    made_of |= {"start": arena.start.key, "start_seed": arena.start.seed} if arena.start else {}
    _claim(run, settings(composed) | made_of, _environment(machine, overrides))
    return arena


def check_schema(config: ArenaConfig, composed: DictConfig) -> None:
    """Refuse keys that no field of the schema reads.

    Raises:
        ArenaError: naming one.
    """
    check_keys(map(str, composed), [field.name for field in fields(config)], "")
    for key, group in vars(config).items():
        if is_dataclass(group) and key != "race":  # which checks its own
            check_keys(map(str, composed[key]), [field.name for field in fields(group)], key)


def _claim(run: Path, config: dict[str, Any], environment: dict[str, Any]) -> None:
    """Write ``config.yaml`` into a new run directory, or find the same race in an old one.

    Raises:
        ArenaError: if the directory holds another race, or cannot be written to.
    """
    path = run / "config.yaml"
    entry = config | {"declared": declared_hash(declared(config)), "environment": environment}
    if path.is_file():
        held, wanted = _compared(read_config(run)), _compared(entry)
        differing = [f"{key}={held.get(key)}" for key in held | wanted if held.get(key) != wanted.get(key)]
        if differing:
            more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
            raise ArenaError(
                f"run_dir={run}: expected this race or none, found another, with {', '.join(differing[:NAMED])}{more}"
            )
        return
    _make(run, "run_dir")
    write_atomically(path, OmegaConf.to_yaml(OmegaConf.create(entry)).encode())


def _make(folder: Path, key: str) -> None:
    """Make a folder that is to be written to.

    Raises:
        ArenaError: where that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(None, "Permission denied")
    except OSError as error:
        raise ArenaError(f"{key}={folder}: expected a folder that can be written to ({error.strerror})") from error


def _compared(config: Mapping[str, object]) -> dict[str, object]:
    """All of a config that makes it the race it is, by dotted key: neither where it lies nor who is told."""
    apart = (
        "environment",
        "declared",
        "judge_reals",
        "logger",
        "run_dir",
    )  # the reals that test follow from the others
    kept = {key: value for key, value in config.items() if key not in apart}
    return {key: value for key, value in leaves(kept) if not key.endswith("cache_dir")}


def _environment(machine: Machine, overrides: Sequence[str]) -> dict[str, Any]:
    """Command, commit, versions and machine: what a reader needs to know besides the settings."""
    packages = {}
    for package in ("arena-race", *PACKAGES):
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            packages[package] = "not installed as a package"
    return {
        "overrides": list(overrides),
        "git_commit": _commit(),
        "packages": packages,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "device": str(machine.device),
        "precision": machine.precision,
        "threads": torch.get_num_threads(),
    }


def _commit() -> str | None:
    """The commit of this checkout, ``-dirty`` where files differ from it; None for an installed package."""
    here = Path(__file__).parent
    if not (here.parent / "conf").is_dir():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=here).stdout.strip() or None
    except OSError:  # no git on this machine
        return None


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
