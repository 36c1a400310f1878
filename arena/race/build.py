"""Build a race from its configuration."""

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
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena.answer.runs import declared, declared_hash, hash_of_reals
from arena.config.compose import CONF
from arena.config.instantiate import SHAPE, check_keys, instantiate
from arena.config.saved import flatten, read_config
from arena.config.schema import ArenaConfig, register
from arena.core.errors import ArenaError, first_line
from arena.core.files import write_atomically
from arena.core.machine import processor
from arena.data.reals import RealData
from arena.race.branch import Branch
from arena.race.race import Race
from arena.training.machine import Machine

NAMED = 3
"""Differing settings named before the rest is only counted."""
PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "wandb", "scikit-learn", "numpy", "scipy", "kornia", "pillow")


def settings(composed: DictConfig) -> dict[str, Any]:
    """The configuration as plain containers, every interpolation resolved."""
    resolved = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(resolved, dict)
    return {str(key): value for key, value in resolved.items()}


def build_race(config: ArenaConfig, composed: DictConfig, overrides: Sequence[str] = ()) -> Race:
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
    data: RealData = instantiate(composed.data, "data")
    data.prepare_data()
    data.setup()
    levels = OmegaConf.select(composed, "evidence.levels")
    evidence = instantiate(composed.evidence, "evidence", levels=data.levels if levels is None else levels)
    generator = instantiate(composed.generator, "generator", SHAPE)
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
    race = Race(
        run=run,
        cache=Path(config.cache_dir).expanduser(),
        seed=config.seed,
        rounds=config.race.rounds,
        margin=config.answer.margin,
        data=data,
        evidence=evidence,
        generator=generator,
        generator_key=json.dumps(determines, sort_keys=True),
        loss=instantiate(composed.loss, "loss"),
        augmentation=instantiate(composed.augmentation, "augmentation"),
        access=instantiate(composed.access, "access"),
        objective=instantiate(composed.objective, "objective"),
        pool=instantiate(composed.pool, "pool"),
        members={
            str(name): instantiate(node, f"battery.members.{name}", SHAPE)
            for name, node in composed.battery.members.items()
        },
        stack=None
        if composed.battery.stack is None
        else instantiate(composed.battery.stack, "battery.stack", ["members"]),
        bag=None if composed.battery.bag is None else instantiate(composed.battery.bag, "battery.bag"),
        battery=config.battery,
        schedule=config.schedule,
        bank=config.bank,
        judge=config.judge,
        features=instantiate(composed.features, "features"),
        machine=machine,
        tracker=instantiate(composed.logger, "logger"),
        start=None if config.race.start is None else Branch.of(config.race.start, settings(composed) | made_of),
    ).enlisted()
    race.check()
    _make(race.cache, "cache_dir")
    made_of |= {"fingerprint": race.fingerprint} if race.fingerprint else {}
    made_of |= {"images": dict(race.shape), "judge_reals": hash_of_reals(race.judge_reals.ids)}
    made_of |= {"left_out": race.left_out} if race.left_out else {}
    made_of |= {"start": race.start.key, "start_seed": race.start.seed} if race.start else {}
    _claim(run, settings(composed) | made_of, _environment(machine, overrides))
    return race


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
    return {key: value for key, value in flatten(kept) if not key.endswith("cache_dir")}


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
    here = Path(__file__).parents[1]
    if not (here.parent / "conf").is_dir():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=here).stdout.strip() or None
    except OSError:  # no git on this machine
        return None


def race_from(overrides: Sequence[str], run: Path) -> Race:
    """The arena that ``python -m arena`` would race with, its run directory ``run``.

    Raises:
        ArenaError: for an override no arena can be built with.
    """
    register()
    try:
        with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
            composed = compose("config", [*overrides, f"run_dir={run}", "logger=none"])
        config = OmegaConf.to_object(composed)
    except (HydraException, OmegaConfBaseException) as error:
        raise ArenaError(f"{' '.join(overrides)}: {first_line(error)}") from error
    assert isinstance(config, ArenaConfig)
    return build_race(config, composed, list(overrides))
