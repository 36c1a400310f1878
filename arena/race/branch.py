"""Start a race from the last round of another run (``race.from``), or change the images of its generator."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from arena.answer.runs import FinishedRun, read_run
from arena.config.saved import canonical, flatten, without_matching
from arena.config.schema import STACK
from arena.core.errors import ArenaError
from arena.core.files import files_in
from arena.records.integrity import check_files
from arena.records.layout import RunLayout

SHARED = ("data", "evidence", "generator", "reals")
"""Settings that a branch shares with its origin. On another split the generator may have trained on judge reals."""
OF_THE_REALS = ("data", "reals")
"""Settings that a race shares with the run whose generator makes its images (``generator.run``)."""
MEMBERS = "battery.members."


@dataclass(frozen=True)
class Branch:
    """The last round of another run: its generator in training, and its detectors.

    Args:
        run: its directory.
        round_index: its last round.
        seed: of that run. Only branches of equal seeds pair.
        access_reals: part of the reals that trained its detectors.
        attacked: techniques that its generator has attacked, there or in a run that it branched from in turn.
        key: hash of its settings without seeds and places. Branches of equal keys belong to one condition.
    """

    run: Path
    round_index: int
    seed: object
    access_reals: object
    attacked: tuple[str, ...]
    key: str

    @classmethod
    def of(cls, place: str, config: Mapping[str, object]) -> Self:
        """Return the branch that ``race.from=place`` names, for a race of this resolved config.

        Raises:
            ArenaError: if it is no finished run with a trained generator, a file of that is damaged, or it differs in a
                setting that must be shared.
        """
        run = Path(place).expanduser()
        finished = _finished("race.from", run, config, SHARED)
        origin, last = finished.config, finished.declared.last_round
        reals = _settings(origin).get("access.reals")
        key = hashlib.sha256(canonical(origin).encode()).hexdigest()[:16]
        branch = cls(run, last, origin.get("seed"), reals, _attacked(finished), key)
        if not (branch.gan / "gan.safetensors").is_file():
            raise ArenaError(f"race.from={run}: expected a run that trained its generator to round {last}")
        check_files(run, [*files_in(branch.gan), *files_in(RunLayout(run).detector(last, STACK).parent)])
        return branch

    @property
    def gan(self) -> Path:
        """Folder of the state of its GAN."""
        return RunLayout(self.run).gan(self.round_index)

    def detector(self, technique: str, reals: str) -> Path | None:
        """Return the weights of its detector, or None if it has none that was trained on that part of the reals."""
        path = RunLayout(self.run).detector(self.round_index, technique)
        return path if path.is_file() and reals == self.access_reals else None


def attacked_before(run: Path, config: Mapping[str, object]) -> tuple[str, ...]:
    """Return the techniques that the generator of ``generator.run`` has attacked.

    Args:
        run: its directory.
        config: resolved, of the race that changes its images.

    Raises:
        ArenaError: if it is no finished run, or has another split of the reals. Its generator may then have trained on
            reals of the judges.
    """
    return _attacked(_finished("generator.run", run, config, OF_THE_REALS))


def _attacked(run: FinishedRun) -> tuple[str, ...]:
    return tuple(filter(run.has_attacked, run.declared.techniques))


def _finished(key: str, run: Path, config: Mapping[str, object], groups: Collection[str]) -> FinishedRun:
    """Return the finished run that ``key`` names, if it shares with ``config`` all settings of these groups."""
    try:
        finished = read_run(run)
    except ArenaError as error:
        raise ArenaError(f"{key}={run}: expected a finished run ({error})") from error
    ours, theirs = _settings(config), _settings(finished.config)
    for name in ours | theirs:
        if _is_shared(name, ours, theirs, groups) and ours.get(name) != theirs.get(name):
            raise ArenaError(
                f"{key}={run}: expected a run with {name}={ours.get(name)}, found {name}={theirs.get(name)}"
            )
    return finished


def _is_shared(name: str, ours: Mapping[str, object], theirs: Mapping[str, object], groups: Collection[str]) -> bool:
    """Return whether two runs share a setting. A branch shares a technique if both batteries have it."""
    if name.startswith(MEMBERS):
        return groups is SHARED and name in ours and name in theirs
    return name.split(".")[0] in groups


def _settings(config: Mapping[str, object]) -> dict[str, object]:
    """Return all settings by dotted key, without the places of files and without what is matched after the network."""
    settings = flatten(without_matching(config))
    return {name: value for name, value in settings if not name.endswith(("cache_dir", ".weights"))}
