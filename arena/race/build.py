"""Build a race from its configuration."""

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from arena import __version__
from arena.answer.runs import declared, declared_hash, hash_of_reals
from arena.config.compose import CONF, compose_config, explanation
from arena.config.instantiate import SHAPE, check_keys, instantiate
from arena.config.saved import flatten, read_config, without_matching
from arena.config.schema import ArenaConfig
from arena.config.trust import read_own_config
from arena.core.errors import ArenaError, DoesNotApply, first_line, require
from arena.core.files import write_atomically
from arena.core.lock import locked
from arena.core.machine import processor, use_allowed_cores
from arena.data.reals import RealData
from arena.generators.base import Generator
from arena.imaging.evidence import Evidence
from arena.imaging.images import ImageShape
from arena.race.branch import Branch, attacked_before
from arena.race.check import check
from arena.race.memory import check_banks, check_images, check_networks
from arena.race.race import Race
from arena.training.machine import Machine

NAMED = 3
"""Differing settings that an error names. The rest is counted."""
PACKAGES = ("torch", "pytorch-lightning", "hydra-core", "wandb", "scikit-learn", "numpy", "scipy", "kornia", "pillow")


def race_from(overrides: Sequence[str], run: Path) -> Race:
    """Build the race of some overrides, with run directory ``run`` and without a logger.

    Raises:
        ArenaError: for overrides that no race can be built with.
    """
    try:
        return build_race(compose_config([*overrides, f"run_dir={run}", "logger=none"]), overrides)
    except (HydraException, OmegaConfBaseException) as error:
        raise ArenaError(explanation(error, overrides)) from error


def race_of(run: Path) -> Race:
    """Build the race of a run directory again, from its ``config.yaml``, without a logger and with the user's cache.

    Raises:
        ArenaError: if the directory holds no run of this version, its race cannot be built here, or it names code from
            outside of arena that was not allowed.
    """
    config, logger = read_own_config(run), OmegaConf.load(CONF / "logger" / "offline.yaml")
    cache = OmegaConf.select(OmegaConf.load(CONF / "config.yaml"), "cache_dir")
    settings = {entry.name: config[entry.name] for entry in fields(ArenaConfig) if entry.name in config}
    settings = {key: _with_cache(value, cache) for key, value in settings.items()}
    settings |= {"run_dir": str(run), "cache_dir": cache, "logger": OmegaConf.merge(logger, {"mode": "none"})}
    try:
        composed = OmegaConf.merge(OmegaConf.structured(ArenaConfig), settings)
        assert isinstance(composed, DictConfig)
        return build_race(composed)
    except OmegaConfBaseException as error:
        raise ArenaError(f"{run / 'config.yaml'}: expected the settings of a race ({first_line(error)})") from error


def _with_cache(group: object, cache: str) -> object:
    """Return a group of a config with this user's cache in place of that of whoever ran the race."""
    return {**group, "cache_dir": cache} if isinstance(group, Mapping) and "cache_dir" in group else group


class Planned(NamedTuple):
    """A race of which nothing is written yet.

    Args:
        race: with all its parts.
        settings: its resolved configuration.
    """

    race: Race
    settings: dict[str, Any]


def build_race(composed: DictConfig, overrides: Sequence[str] = ()) -> Race:
    """Build every part of a race, check them together, and claim the run directory.

    Args:
        composed: as Hydra composed it.
        overrides: of the command line, for ``config.yaml``.

    Raises:
        ArenaError: for an impossible value, or a run directory that holds another race.
    """
    planned = plan_race(composed)
    _make(planned.race.cache, "cache_dir")
    _claim(planned, overrides)
    return planned.race


def plan_race(composed: DictConfig) -> Planned:
    """Build every part of a race and check them together. The run directory is left alone.

    Raises:
        ArenaError: for an impossible value.
    """
    config = OmegaConf.to_object(composed)
    assert isinstance(config, ArenaConfig)
    check_schema(config, composed)
    require(bool(config.run_dir.strip()), "run_dir", config.run_dir, "a folder")
    require(bool(config.cache_dir.strip()), "cache_dir", config.cache_dir, "a folder")
    settings = _plain(composed)
    machine = Machine.choose(config.trainer.accelerator, config.trainer.precision)
    use_allowed_cores()
    check_images(composed.data)
    data: RealData = instantiate(composed.data, "data")
    data.prepare_data()
    data.setup()
    levels = OmegaConf.select(composed, "evidence.levels")
    evidence = instantiate(composed.evidence, "evidence", levels=data.levels if levels is None else levels)
    generator = instantiate(composed.generator, "generator", SHAPE)
    shape: ImageShape = {"resolution": data.resolution, "channels": data.channels, "levels": data.levels}
    check_banks(config.bank, shape)
    check_networks("generator", composed.generator, lambda: generator(**shape))
    example: Generator = generator(**shape)
    data.split_for(example.purpose)
    reals = hashlib.sha256(data.part("generator").images.numpy().tobytes()).hexdigest()
    # The files belong to the settings of a run, since one photograph more is another split.
    settings["reals"] = reals
    stack, bag = composed.battery.stack, composed.battery.bag
    race = Race(
        run=Path(config.run_dir),
        cache=Path(config.cache_dir).expanduser(),
        seed=config.seed,
        rounds=config.race.rounds,
        margin=config.answer.margin,
        alpha=config.answer.alpha,
        data=data,
        evidence=evidence,
        generator=generator,
        warm_up_key=_warm_up_key(settings, evidence),
        loss=instantiate(composed.loss, "loss"),
        augmentation=instantiate(composed.augmentation, "augmentation"),
        access=instantiate(composed.access, "access"),
        objective=instantiate(composed.objective, "objective"),
        weighting=instantiate(composed.weighting, "weighting"),
        pool=instantiate(composed.pool, "pool"),
        members={
            str(name): instantiate(node, f"battery.members.{name}", SHAPE)
            for name, node in composed.battery.members.items()
        },
        stack=None if stack is None else instantiate(stack, "battery.stack", ["members"]),
        bag=None if bag is None else instantiate(bag, "battery.bag"),
        battery=config.battery,
        schedule=config.schedule,
        bank=config.bank,
        judge=config.judge,
        probes=config.probes,
        selection=config.selection,
        resampling=config.resampling,
        features=instantiate(composed.features, "features"),
        machine=machine,
        tracker=instantiate(composed.logger, "logger"),
        branch=None if config.race.start is None else Branch.of(config.race.start, settings),
        attacked_before=() if example.origin is None else attacked_before(example.origin, settings),
    )
    for name, member in race.members.items():
        node = composed.battery.members[name]
        check_networks(f"battery.members.{name}", node, lambda member=member: member(**race.seen_shape))
    race = with_applicable(race)
    check(race)
    settings |= _known_from(race)
    return Planned(race, settings | {"declared": declared_hash(declared(settings))})


def _plain(composed: DictConfig) -> dict[str, Any]:
    """Return a config as plain containers, its interpolations resolved."""
    settings = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(settings, dict)
    return {str(key): value for key, value in settings.items()}


def _warm_up_key(settings: Mapping[str, object], evidence: Evidence) -> str:
    """Return as JSON the settings on which a warm-up depends, besides seed, schedule and the generator's files."""
    unmatched = without_matching(settings)
    kept = {key: unmatched[key] for key in ("reals", "generator", "loss", "augmentation", "features")}
    return json.dumps(kept | {"evidence": repr(evidence)}, sort_keys=True)


def _known_from(race: Race) -> dict[str, Any]:
    """Return what ``config.yaml`` holds beside the settings: what is known of a race once it is built."""
    entry: dict[str, Any] = {"fingerprint": race.fingerprint} if race.fingerprint else {}
    entry |= {"images": dict(race.shape), "judge_reals": hash_of_reals(race.judge_reals.ids)}
    entry |= {"left_out": race.left_out} if race.left_out else {}
    entry |= {"near_duplicates": race.data.near_duplicates} if race.data.near_duplicates else {}
    attacked = dict.fromkeys([*race.attacked_before, *(race.branch.attacked if race.branch else ())])
    if race.branch:
        entry |= {"start": race.branch.key, "start_seed": race.branch.seed}
    if race.branch or attacked:
        entry |= {"start_attacked": list(attacked)}
    return entry


def with_applicable(race: Race) -> Race:
    """Return the race with the techniques that apply to its images and its generator. The others are left out.

    Raises:
        ArenaError: if none applies.
    """
    left_out: dict[str, str] = {}
    for technique in race.members:
        try:
            race.new_detector(technique, 0)
        except DoesNotApply as reason:
            left_out[technique] = str(reason)
    members = {name: factory for name, factory in race.members.items() if name not in left_out}
    if not members:
        reasons = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
        raise ArenaError(f"battery.members: expected a technique that applies here ({reasons})")
    return replace(race, members=members, left_out=left_out)


def check_schema(config: ArenaConfig, composed: DictConfig) -> None:
    """Check that a field of the schema reads every key.

    Raises:
        ArenaError: naming an unknown key.
    """
    check_keys(map(str, composed), [field.name for field in fields(config)], "")
    for key, group in vars(config).items():
        if is_dataclass(group):
            check_keys(map(str, composed[key]), [field.name for field in fields(group)], key)


def check_held(planned: Planned) -> bool:
    """Return whether the run directory holds this race already.

    Raises:
        ArenaError: if it holds another race.
    """
    run = planned.race.run
    if not (run / "config.yaml").is_file():
        return False
    held, wanted = _compared(read_config(run)), _compared(planned.settings)
    differing = [f"{key}={held.get(key)}" for key in held | wanted if held.get(key) != wanted.get(key)]
    if differing:
        more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
        raise ArenaError(
            f"run_dir={run}: expected this race or none, found another, with {', '.join(differing[:NAMED])}{more}"
        )
    return True


def _claim(planned: Planned, overrides: Sequence[str]) -> None:
    """Write ``config.yaml`` into a new run directory, or compare it with that of an earlier start.

    Raises:
        ArenaError: if the directory holds another race, or cannot be written to.
    """
    if check_held(planned):
        return
    run = planned.race.run
    _make(run, "run_dir")
    with locked(run):  # another process may claim the directory at the same time
        if not check_held(planned):
            entry = planned.settings | {"environment": _environment(planned.race.machine, overrides)}
            write_atomically(run / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(entry)).encode())


def _make(folder: Path, key: str) -> None:
    """Make a folder, or raise an ``ArenaError`` if it is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(None, "Permission denied")
    except OSError as error:
        raise ArenaError(f"{key}={folder}: expected a folder that can be written to ({error.strerror})") from error


def _compared(config: Mapping[str, object]) -> dict[str, object]:
    """Return the settings that identify a race, by dotted key: without places, logger and environment."""
    apart = ("environment", "declared", "judge_reals", "logger", "run_dir")  # judge_reals follow from the others
    kept = {key: value for key, value in config.items() if key not in apart}
    return {key: value for key, value in flatten(kept) if not key.endswith("cache_dir")}


def _environment(machine: Machine, overrides: Sequence[str]) -> dict[str, Any]:
    """Return command, commit, versions and machine, which a reader needs besides the settings."""
    return {
        "arena_version": __version__,
        "overrides": list(overrides),
        "git_commit": _commit(),
        "packages": {package: _version(package) for package in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": processor(),
        "device": str(machine.device),
        "precision": machine.precision,
        "threads": torch.get_num_threads(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed as a package"


def _commit() -> str | None:
    """Return the commit of this checkout, ``-dirty`` if files differ from it. None for an installed package."""
    here = Path(__file__).parents[1]
    if not (here.parent / "conf").is_dir():
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=here).stdout.strip() or None
    except OSError:  # no git on this machine
        return None
