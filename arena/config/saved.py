"""Read the resolved configuration of a finished run."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from arena import __version__
from arena.core.errors import ArenaError, first_line

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Both loaders are safe. The one in C is ten times as fast, and missing on some machines."""
WITHIN_A_CONDITION = {
    *("seed", "start_seed", "reals", "judge_reals", "run_dir", "cache_dir"),
    *("logger", "trainer", "declared", "environment"),
}
"""Keys in which runs of one condition may differ: seeds, places and the machine. ``data.seed`` is another."""


def read_config(run: Path) -> dict[str, object]:
    """Return the resolved config of a run.

    Raises:
        ArenaError: if the run has none, it is no YAML mapping, or another version of arena wrote it.
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
    _check_version(run, config)
    return config


def _check_version(run: Path, config: Mapping[str, object]) -> None:
    """Refuse a run that was written by another minor version: its configuration and records may differ in form."""
    environment = config.get("environment")
    environment = environment if isinstance(environment, Mapping) else {}
    packages = environment.get("packages")  # runs before 0.2 have the version there alone
    earlier = packages.get("arena-race") if isinstance(packages, Mapping) else None
    version = str(environment.get("arena_version") or earlier or "of an unknown version")
    if version.split(".")[:2] != __version__.split(".")[:2]:
        raise ArenaError(
            f"{run}: written by arena {version}, but this is arena {__version__}: race again, or read it with that "
            "version"
        )


def section(config: Mapping[str, object], key: str) -> Mapping[str, object]:
    """Return a group of a resolved config.

    Raises:
        ArenaError: if it is missing.
    """
    value = config.get(key)
    if not isinstance(value, Mapping):
        raise ArenaError(f"{key}={value}: missing from the config of the run")
    return value


def members(config: Mapping[str, object]) -> list[str]:
    """Return the techniques of a resolved config's battery without those that were left out, in order.

    Raises:
        ArenaError: naming the key that is missing or no mapping.
    """
    names, left_out = section(section(config, "battery"), "members"), config.get("left_out")
    return [name for name in names if not (isinstance(left_out, Mapping) and name in left_out)]


def condition_settings(config: Mapping[str, object], drop: tuple[str, ...] = ()) -> dict[str, object]:
    """Return what makes a run one of its condition: its config without seeds, places, machine and the keys ``drop``."""
    settings = {key: value for key, value in config.items() if key not in WITHIN_A_CONDITION | {*drop}}
    # ``start`` identifies the run it branched from, without seed and place.
    for key, varying in (("race", "from"), ("data", "seed")):
        group = settings.get(key)
        if isinstance(group, Mapping):
            settings[key] = {name: value for name, value in group.items() if name != varying}
    return settings


def canonical(config: Mapping[str, object], drop: tuple[str, ...] = ()) -> str:
    """Return the settings of a run's condition as canonical JSON, which is equal for the runs of one condition."""
    return json.dumps(condition_settings(config, drop), sort_keys=True, default=str)


def matching(config: Mapping[str, object]) -> str | None:
    """Return what the fakes of a resolved config are matched in (``generator.matched``), or None."""
    generator = config.get("generator")
    matched = generator.get("matched") if isinstance(generator, Mapping) else None
    return None if matched is None else str(matched)


def without_matching(config: Mapping[str, object]) -> dict[str, object]:
    """Return a config without ``generator.matched``, which changes nothing that is trained."""
    generator = config.get("generator")
    if not isinstance(generator, Mapping):
        return dict(config)
    return {**config, "generator": {key: value for key, value in generator.items() if key != "matched"}}


def flatten(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Yield every setting of a config with its dotted key.

    >>> list(flatten({"seed": 0, "race": {"rounds": 4}}))
    [('seed', 0), ('race.rounds', 4)]
    """
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
