"""Name the files of a run directory."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RunLayout:
    """Paths below a run directory. Nothing is read or written here."""

    run: Path

    @property
    def banks(self) -> Path:
        """Folder of the banks of fakes and of the images that are shown to people."""
        return self.run / "banks"

    @property
    def reals(self) -> Path:
        """Some reference reals, beside which figures show fakes."""
        return self.banks / "reals.npz"

    @property
    def judged(self) -> Path:
        """Images of both classes that the last round's judges test, for the quiz."""
        return self.banks / "judged.npz"

    @property
    def partial_gan(self) -> Path:
        """Last sound state of the GAN during a response."""
        return self.run / "checkpoints" / "partial"

    def bank(self, round_index: int) -> Path:
        """Return the bank of a round's fakes."""
        return self.banks / f"round_{round_index:02d}.npz"

    def mixing(self, round_index: int) -> Path:
        """Return the grid of mixed styles of a round's generator."""
        return self.banks / f"mixing_{round_index:02d}.npz"

    def gan(self, round_index: int) -> Path:
        """Return the folder of a round's GAN: generator, discriminator, optimizers."""
        return self._checkpoints(round_index) / "gan"

    def generator(self, round_index: int) -> Path:
        """Return the averaged weights of a round's generator."""
        return self.gan(round_index) / "generator.safetensors"

    def detector(self, round_index: int, name: str) -> Path:
        """Return the tensors of a technique, its calibration or the stack, as a round's retraining left them."""
        return self._checkpoints(round_index) / "detectors" / f"{name}.safetensors"

    def _checkpoints(self, round_index: int) -> Path:
        return self.run / "checkpoints" / f"round_{round_index:02d}"
