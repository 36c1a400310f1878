"""Where a race begins that does not begin with a new generator: at the last round of another run (``race.from``)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from arena.answer.runs import declared, read_run
from arena.config.saved import canonical, flatten
from arena.core.errors import ArenaError

SHARED = ("data", "evidence", "generator", "reals")
"""What a branch must have as its origin had it: on another split the generator may have seen the judge's reals."""
MEMBERS = "battery.members."


@dataclass(frozen=True)
class Branch:
    """The last round of another run: its generator in training, and its detectors.

    Args:
        run: its directory.
        round: its last one.
        seed: of that run; only branches of equal seeds pair.
        access_reals: the part of the reals its detectors learned from.
        key: of its settings but for seeds and places: branches of equal keys are of one condition.
    """

    run: Path
    round: int
    seed: object
    access_reals: object
    key: str

    @classmethod
    def of(cls, place: str, config: Mapping[str, object]) -> Self:
        """The start that ``race.from=place`` means for a race of this resolved config.

        Raises:
            ArenaError: if it is no run that trained a generator to its last round, or differs in what must be shared.
        """
        run = Path(place).expanduser()
        try:
            origin = read_run(run).config
        except ArenaError as error:
            raise ArenaError(f"race.from={run}: expected a finished run ({error})") from error
        for key in SHARED:
            ours, theirs = _leaves(config, key), _leaves(origin, key)
            for name in ours | theirs:
                if ours.get(name) != theirs.get(name):
                    found = f"{name}={theirs.get(name)}"
                    raise ArenaError(f"race.from={run}: expected a run with {name}={ours.get(name)}, found {found}")
        ours, theirs = _leaves(config, "battery"), _leaves(origin, "battery")
        for name in ours.keys() & theirs.keys():
            if name.startswith(MEMBERS) and ours[name] != theirs[name]:
                raise ArenaError(f"race.from={run}: expected a run with {name}={ours[name]}, found {theirs[name]}")
        last = declared(origin).last_round
        access = origin.get("access")
        reals = access.get("reals") if isinstance(access, Mapping) else None
        start = cls(run, last, origin.get("seed"), reals, hashlib.sha256(canonical(origin).encode()).hexdigest()[:16])
        if not (start.gan / "gan.safetensors").is_file():
            raise ArenaError(f"race.from={run}: expected a run that trained its generator to round {last}")
        return start

    @property
    def gan(self) -> Path:
        """The state of its GAN."""
        return self._folder / "gan"

    def detector(self, technique: str, reals: str) -> Path | None:
        """The weights of its detector of that technique; None where there is none, or it learned from other reals."""
        path = self._folder / "detectors" / f"{technique}.safetensors"
        return path if path.is_file() and reals == self.access_reals else None

    @property
    def _folder(self) -> Path:
        return self.run / "checkpoints" / f"round_{self.round:02d}"


def _leaves(config: Mapping[str, object], key: str) -> dict[str, object]:
    """The settings of one part by dotted key, less where they lie."""
    part = config.get(key)
    found = dict(flatten(part, f"{key}.")) if isinstance(part, Mapping) else {key: part}
    return {name: value for name, value in found.items() if not name.endswith(("cache_dir", ".weights"))}
