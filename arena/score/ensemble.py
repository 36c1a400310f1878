"""The detectors of a finished run, from its config and checkpoints: neither the race nor its data is built again."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from omegaconf import OmegaConf
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from arena.config.instantiate import SHAPE, instantiate
from arena.config.saved import members, read_config, section
from arena.config.schema import STACK
from arena.core.errors import ArenaError, error_context, first_line
from arena.detectors.base import Detector, GanAwareDetector
from arena.detectors.calibration import Calibration
from arena.detectors.gallery import Gallery, score_all
from arena.detectors.stack import Stack
from arena.generators.base import TrainableGenerator
from arena.imaging.evidence import Evidence


@dataclass(frozen=True)
class DetectorEnsemble:
    """What a run's detectors of one round say of images: probabilities, for that run's data and as many fakes as reals.

    Args:
        detectors: by technique, as ``retrain`` left them.
        calibrations: of each.
        stack: over them, None where the run has none.
        evidence: the path down which images come.
        resolution: side in pixels of the images it takes, before the evidence path.
        channels: 1 or 3.
        round: whose detectors.
    """

    detectors: dict[str, Detector]
    calibrations: dict[str, Calibration]
    stack: Stack | None
    evidence: Evidence
    resolution: int
    channels: int
    round: int

    @classmethod
    def of(cls, run: Path, round_index: int | None = None) -> Self:
        """The detectors of a round.

        Args:
            run: the run directory.
            round_index: None for the last one there is.

        Raises:
            ArenaError: where ``run`` is no run, or has no detectors of that round.
        """
        config = read_config(run)
        rounds = sorted(
            int(path.parts[-2].removeprefix("round_")) for path in run.glob("checkpoints/round_*/detectors")
        )
        if not rounds:
            raise ArenaError(f"{run}: expected checkpoints of detectors, found none")
        round_index = rounds[-1] if round_index is None else round_index
        if round_index not in rounds:
            raise ArenaError(f"--round={round_index}: expected a round of {run}, which has {rounds[0]} to {rounds[-1]}")
        images = section(config, "images")
        resolution, channels, levels = (int(str(images[key])) for key in SHAPE)
        path = dict(section(config, "evidence"))
        own = path.get("levels")  # as the race built it: the data's, unless the path has its own
        evidence = instantiate(OmegaConf.create(path), "evidence", levels=levels if own is None else own)
        battery = section(config, "battery")
        nodes, folder = section(battery, "members"), run / "checkpoints" / f"round_{round_index:02d}" / "detectors"
        seen = evidence.resolution(resolution)
        detectors = {}
        for name in members(config):
            factory = instantiate(OmegaConf.create({"node": nodes[name]}).node, f"battery.members.{name}", SHAPE)
            with error_context(f"battery.members.{name}"):
                detectors[name] = factory(resolution=seen, channels=channels, levels=levels)
            if isinstance(detectors[name], GanAwareDetector):
                detectors[name].meet(*_untrained_gan(config, resolution, channels, levels, seen))
            _load(detectors[name], folder / f"{name}.safetensors")
        calibrations = {name: Calibration() for name in detectors}
        for name, calibration in calibrations.items():
            _load(calibration, folder / f"{name}.calibration.safetensors")
        stack = None
        if battery.get(STACK) is not None:
            stack = instantiate(OmegaConf.create({"node": battery[STACK]}).node, "battery.stack", ["members"])(
                members=len(detectors)
            )
            _load(stack, folder / f"{STACK}.safetensors")
        return cls(detectors, calibrations, stack, evidence, resolution, channels, round_index)

    @property
    def columns(self) -> list[str]:
        """Every technique, the stack last."""
        return [*self.detectors, *([STACK] if self.stack else [])]

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Of being fake, float64 (N, techniques), of uint8 images (N, C, resolution, resolution)."""
        logits = score_all(self.detectors, Gallery(images, self.evidence))
        found = [self.calibrations[name](its) for name, its in logits.items()]
        if self.stack is not None:  # a logistic regression on validation images, and so a probability already
            found.append(torch.sigmoid(self.stack(torch.stack([logits[name] for name in self.detectors], 1)).double()))
        return torch.stack(found, dim=1)


def _untrained_gan(
    config: Mapping[str, object], resolution: int, channels: int, levels: int, seen: int
) -> tuple[TrainableGenerator, nn.Module]:
    """Networks of the run's sizes for an insider, whose own tensors hold the weights."""
    settings = dict(section(config, "generator"))
    node = OmegaConf.create(settings | ({"weights": None} if "weights" in settings else {}))
    generator = instantiate(node, "generator", SHAPE)(resolution=resolution, channels=channels, levels=levels)
    return generator, generator.discriminator(seen)


def _load(module: nn.Module, path: Path) -> None:
    try:
        module.load_state_dict(load_file(path))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ArenaError(f"{path}: expected the tensors of this technique ({first_line(error)})") from error
