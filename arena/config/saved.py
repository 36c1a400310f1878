"""Read the resolved configuration of a finished run."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from arena.core.errors import ArenaError, first_line

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Both are safe; the one in C is ten times as fast where there is one."""


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


# What may differ within a condition: seeds, places, and the machine; and ``data.seed`` with the reals it deals out.
_WITHIN = ("seed", "start_seed", "reals", "judge_reals", "run_dir", "cache_dir", "logger", "trainer", "declared")
_WITHIN += ("environment",)


def _pruned(config: Mapping[str, object], drop: tuple[str, ...]) -> dict[str, object]:
    kept = {key: value for key, value in config.items() if key not in _WITHIN + drop}
    race = kept.get("race")
    if isinstance(race, Mapping):  # where it branched from is told by the key ``start``, without seed and place
        kept["race"] = {key: value for key, value in race.items() if key != "from"}
    data = kept.get("data")
    if isinstance(data, Mapping):
        kept["data"] = {key: value for key, value in data.items() if key != "seed"}
    return kept


def canonical(config: Mapping[str, object], drop: tuple[str, ...] = ()) -> str:
    """Canonical JSON of a run's config without its seeds and places: equal for the runs of one condition."""
    return json.dumps(_pruned(config, drop), sort_keys=True, default=str)


def flatten(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """What a config sets, each with its dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
