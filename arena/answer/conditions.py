"""Which runs belong together: a condition is all runs whose configs are equal but for their seeds."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from arena.answer.finished import FinishedRun, read_run
from arena.errors import ArenaError

CONTROLS = ("none", "placebo")
# What may differ within a condition: seeds, places, and the machine; and ``data.seed`` with the reals it deals out.
_WITHIN = ("seed", "start_seed", "reals", "judge_reals", "run_dir", "cache_dir", "logger", "trainer", "declared")
_WITHIN += ("environment",)


@dataclass(frozen=True)
class Condition:
    """The runs of one condition, in order of their seeds.

    Args:
        name: ``access=...`` and whatever else sets it apart from the conditions beside it.
        access: what the generator was told.
        branch: canonical JSON of the config without seeds and without access: a control shares it.
        runs: its runs, no two with the same seeds.
    """

    name: str
    access: str
    branch: str
    runs: tuple[FinishedRun, ...]

    def controls(self, among: Sequence["Condition"]) -> dict[str, "Condition"]:
        """The matched controls of this condition: same config but for the access."""
        if self.access in CONTROLS:
            return {}
        return {other.access: other for other in among if other.access in CONTROLS and other.branch == self.branch}


def conditions(runs: Iterable[FinishedRun]) -> list[Condition]:
    """Group runs into conditions.

    Raises:
        ArenaError: if two runs have the same config and the same seeds: a run counts once.
    """
    groups: dict[str, list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault(canonical(run.config), []).append(run)
    settings = {key: dict(leaves(_pruned(group[0].config, drop=()))) for key, group in groups.items()}
    found = []
    for key, group in groups.items():
        members = sorted(group, key=lambda run: (run.seed, run.declared.data_seed))
        for one, after in pairwise(members):
            if (one.seed, one.declared.data_seed) == (after.seed, after.declared.data_seed):
                raise ArenaError(f"{one.path} and {after.path}: equal config, seed and data.seed: name one of them")
        name = ", ".join([f"access={members[0].access}", *_apart(settings[key], list(settings.values()))])
        branch = canonical(group[0].config, drop=("access",))
        found.append(Condition(name, group[0].access, branch, tuple(members)))
    return sorted(found, key=lambda condition: (condition.access in CONTROLS, condition.name))


def find_runs(places: Sequence[Path]) -> tuple[list[FinishedRun], list[str]]:
    """The finished runs among some run directories, or in folders that hold run directories at any depth.

    Returns:
        The runs, and a line for each run that a folder holds and that cannot be read (it is not finished, say).

    Raises:
        ArenaError: if a place is no folder, a run named itself cannot be read, or no finished run is found.
    """
    runs: dict[Path, FinishedRun] = {}
    passed_over = []
    for place in places:
        if not place.is_dir():
            raise ArenaError(f"{place}: expected the directory of a run, or a folder of such directories")
        if (place / "config.yaml").is_file():
            runs[place.resolve()] = read_run(place)
            continue
        for path in sorted(file.parent for file in place.rglob("records.jsonl")):
            try:
                runs[path.resolve()] = read_run(path)
            except ArenaError as error:
                passed_over.append(str(error))
    if not runs:
        detail = f" ({passed_over[0]})" if passed_over else ""
        raise ArenaError(f"{', '.join(map(str, places))}: no finished run found{detail}")
    return list(runs.values()), passed_over


def _apart(own: Mapping[str, object], among: Sequence[Mapping[str, object]]) -> list[str]:
    """``key=value`` of what differs among conditions; of the access only what differs where its name does not."""
    return [
        f"{key}={value}"
        for key, value in own.items()
        if any(
            other.get(key) != value
            for other in among
            if not key.startswith("access.") or other["access.name"] == own["access.name"]
        )
    ]


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


def leaves(config: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """What a config sets, each with its dotted key."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
