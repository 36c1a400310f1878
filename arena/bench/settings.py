"""What all rows of the benchmark have in common; no torch, so that a mistake is told at once."""

from dataclasses import dataclass

from arena.core.errors import require


@dataclass(frozen=True)
class Settings:
    """What all cells have in common.

    Args:
        seconds: of measuring, for each cell.
        resolution: side in pixels.
        batch: real images of a training step.
        width: of ``style`` and of the textbook port; other generators have that of their configs.

    Raises:
        ArenaError: for impossible values.
    """

    seconds: float = 10.0
    resolution: int = 32
    batch: int = 64
    width: int = 96

    def __post_init__(self) -> None:
        require(self.seconds > 0, "--seconds", self.seconds, "above 0")
        possible = 8 <= self.resolution <= 256 and not self.resolution & (self.resolution - 1)
        require(possible, "--resolution", self.resolution, "a power of two from 8 to 256")
        require(self.batch >= 2, "--batch", self.batch, "at least 2")
        require(self.width >= 1, "--width", self.width, "at least 1")
