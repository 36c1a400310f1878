"""What a race declared before it began: how its outcome will be read. Its hash stands in ``config.yaml``."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from arena.config import BAG, STACK, AnswerConfig
from arena.errors import ArenaError, first_line

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Both are safe; the one in C is ten times as fast where there is one."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """The terms of the test, fixed beforehand.

    Args:
        answer: margin, alpha and the limits of the guards.
        last_round: the round at which the verdict is read.
        techniques: every technique that must be passed, sorted: those of the battery that apply to the images, and
            stack and bag where there are such.
        judge_seeds: fresh judges of each technique.
        judge_folds: cross-fitting folds.
        data_seed: of the split.
        judge_reals: SHA-256 of the reals that test, as ``hash_of_reals`` makes it.
    """

    answer: AnswerConfig
    last_round: int
    techniques: tuple[str, ...]
    judge_seeds: int
    judge_folds: int
    data_seed: int
    judge_reals: str


def hash_of_reals(ids: NDArray[np.int64]) -> str:
    """SHA-256 (hex) of which reals these are: their indices in the data set, in whatever order."""
    return hashlib.sha256(np.sort(ids).astype("<i8").tobytes()).hexdigest()


def declared(config: Mapping[str, object]) -> Declared:
    """The declaration within a resolved config.

    Args:
        config: plain containers, as of ``OmegaConf.to_container(config, resolve=True)``.

    Raises:
        ArenaError: naming the key that is missing or no mapping.
    """
    battery, judge, answer = (section(config, key) for key in ("battery", "judge", "answer"))
    techniques = [*members(config), *(name for name in (STACK, BAG) if battery.get(name) is not None)]
    terms = AnswerConfig(
        **{field.name: float(_number(answer, field.name)) for field in dataclasses.fields(AnswerConfig)}
    )
    return Declared(
        answer=terms,
        last_round=int(_number(section(config, "race"), "rounds")),
        techniques=tuple(sorted(techniques)),
        judge_seeds=int(_number(judge, "seeds")),
        judge_folds=int(_number(judge, "folds")),
        data_seed=int(_number(section(config, "data"), "seed")),
        judge_reals=str(config.get("judge_reals")),
    )


def members(config: Mapping[str, object]) -> list[str]:
    """The techniques of a resolved config's battery that apply to its images and its generator, in their order.

    Raises:
        ArenaError: naming the key that is missing or no mapping.
    """
    named, left_out = section(section(config, "battery"), "members"), config.get("left_out")
    return [name for name in named if not (isinstance(left_out, Mapping) and name in left_out)]


def section(config: Mapping[str, object], key: str) -> Mapping[str, object]:
    """A group of a resolved config.

    Raises:
        ArenaError: where there is none, as in runs of earlier versions.
    """
    value = config.get(key)
    if not isinstance(value, Mapping):
        raise ArenaError(f"{key}={value}: missing from the config of the run")
    return value


def declared_hash(declaration: Declared) -> str:
    """SHA-256 (hex) of the declaration's canonical JSON; the race writes it as ``declared`` into ``config.yaml``."""
    return hashlib.sha256(json.dumps(dataclasses.asdict(declaration), sort_keys=True).encode()).hexdigest()


def read_config(run: Path) -> dict[str, object]:
    """The resolved config of a run.

    Raises:
        ArenaError: if the run has none, or it is no YAML mapping.
    """
    path = run / "config.yaml"
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
    except OSError as error:
        raise ArenaError(f"{run}: expected the directory of a run, with a config.yaml in it") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ArenaError(f"{path}: no YAML: {first_line(error)}") from error
    if not isinstance(config, dict):
        raise ArenaError(f"{path}: expected the resolved config of a run")
    return config


def check_declared(config: Mapping[str, object], run: Path) -> Declared:
    """The declaration of a run, which must be the one hashed before it began.

    Raises:
        ArenaError: if the config was altered since, or names no hash.
    """
    if "judge_reals" not in config:
        raise ArenaError(f"{run / 'config.yaml'}: judge_reals is missing, as in runs of earlier versions: race again")
    declaration = declared(config)
    if config.get("declared") != declared_hash(declaration):
        raise ArenaError(
            f"{run / 'config.yaml'}: what it declares is not what was hashed before the race (key declared)"
        )
    return declaration


def _number(config: Mapping[str, object], key: str) -> float:
    value = config.get(key)
    if not isinstance(value, int | float):
        raise ArenaError(f"{key}={value}: expected a number in the config of the run")
    return value
