"""Name the files of a run directory."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from arena.core.errors import ArenaError


@dataclass(frozen=True)
class RunLayout:
    """Paths below a run directory.

    >>> RunLayout(Path("runs/smoke")).bank(2).as_posix()
    'runs/smoke/banks/round_02.npz'
    """

    run: Path

    @property
    def reals(self) -> Path:
        """Some reference reals, beside which figures show fakes."""
        return self.run / "banks" / "reals.npz"

    @property
    def judged(self) -> Path:
        """Images of both classes that the last round's judges test, for the quiz."""
        return self.run / "banks" / "judged.npz"

    def partial_gan(self, round_index: int) -> Path:
        """Return the folder of the last sound state of the GAN during the response of a round."""
        return self.run / "checkpoints" / f"response_{round_index:02d}"

    def selection(self, round_index: int) -> Path:
        """Return the folder of the branches of the response of a round, between which probes choose."""
        return self.run / "checkpoints" / f"selection_{round_index:02d}"

    def bank(self, round_index: int) -> Path:
        """Return the path of a round's fakes."""
        return self.run / "banks" / f"round_{round_index:02d}.npz"

    def mixing(self, round_index: int) -> Path:
        """Return the path of the grid of mixed styles of a round's generator."""
        return self.run / "banks" / f"mixing_{round_index:02d}.npz"

    def gan(self, round_index: int) -> Path:
        """Return the folder of a round's GAN: generator, discriminator, optimizers."""
        return self.run / "checkpoints" / f"round_{round_index:02d}" / "gan"

    def generator(self, round_index: int) -> Path:
        """Return the path of the averaged weights of a round's generator."""
        return self.gan(round_index) / "generator.safetensors"

    def detector(self, round_index: int, name: str) -> Path:
        """Return the path of a technique's tensors, or of the stack or a calibration, after a round's retraining."""
        return self.gan(round_index).with_name("detectors") / f"{name}.safetensors"

    def resampler(self, round_index: int, name: str) -> Path:
        """Return the path of a technique's tensors, or of the stack, by which a round's fakes are resampled."""
        return self.gan(round_index).with_name("resampling") / f"{name}.safetensors"

    def banks(self) -> dict[int, Path]:
        """Return the existing banks by round."""
        return self._by_round("banks/round_*.npz")

    def mixings(self) -> dict[int, Path]:
        """Return the existing grids of mixed styles by round."""
        return self._by_round("banks/mixing_*.npz")

    def generators(self) -> dict[int, Path]:
        """Return the existing weights of generators by round."""
        return self._by_round("checkpoints/round_*/gan/generator.safetensors")

    def detectors(self) -> dict[int, Path]:
        """Return the existing folders of detectors by round."""
        return self._by_round("checkpoints/round_*/detectors")

    def at_round(self, checkpoints: Mapping[int, Path], round_index: int | None, player: str) -> tuple[int, Path]:
        """Return a round and its checkpoint. None asks for the last round that has one.

        Args:
            checkpoints: those of ``generators`` or ``detectors``.
            round_index: the round, as ``--round`` gives it.
            player: name of the player for errors.

        Raises:
            ArenaError: if the run has no checkpoint of that round, or none at all.
        """
        if not checkpoints:
            raise ArenaError(f"{self.run}: expected checkpoints of {player}, found none")
        chosen = max(checkpoints) if round_index is None else round_index
        if chosen not in checkpoints:
            first, last = min(checkpoints), max(checkpoints)
            raise ArenaError(f"--round={chosen}: expected a round of {self.run}, which has {first} to {last}")
        return chosen, checkpoints[chosen]

    def _by_round(self, pattern: str) -> dict[int, Path]:
        """Return existing paths by the number at the place of the star, ascending."""
        number = re.compile(re.escape(pattern).replace(r"\*", r"(\d+)"))
        matches = {path: number.fullmatch(path.relative_to(self.run).as_posix()) for path in self.run.glob(pattern)}
        return dict(sorted((int(match[1]), path) for path, match in matches.items() if match))
