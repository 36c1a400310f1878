"""Reals with a planted artefact, and detectors built from their configs: what the tests of detectors share."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from arena.config.schema import BatteryConfig
from arena.core.errors import DoesNotApply
from arena.data.digits import Digits
from arena.data.portraits.portraits import Portraits
from arena.detectors.base import Detector, Examples, GanAwareDetector
from arena.detectors.gallery import Gallery, Labelled
from arena.generators.artefacts import Artefact, plant
from arena.generators.dcgan import DcganGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float, to_uint8
from arena.training.battery import train_battery
from arena.training.machine import Machine

CONF = Path(__file__).parents[2] / "conf"
OTHERS = {"stack", "bag", "module", "probe"}
"""Configs that are no technique by themselves: over others, or with files still to be named."""
TECHNIQUES = sorted({path.stem for path in (CONF / "detector").glob("*.yaml")} - OTHERS)
CACHE = Path(tempfile.gettempdir()) / "arena-test-portraits"
"""Outside the checkout; portraits rendered there are found again."""
CPU = Machine(torch.device("cpu"), "fp32")
EVIDENCE = Evidence(levels=17)
PLANTED = int(OmegaConf.load(CONF / "data" / "digits.yaml").planted_amplitude)


def build(technique: str, resolution: int = 8, channels: int = 1, levels: int = 17, seed: int = 0) -> Detector:
    """A technique as its config describes it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        factory = instantiate(OmegaConf.load(CONF / "detector" / f"{technique}.yaml"), _convert_="all")
        detector = factory(resolution=resolution, channels=channels, levels=levels)
        if isinstance(detector, GanAwareDetector):  # a GAN of untrained weights, the same for every seed
            torch.manual_seed(0)
            gan = DcganGenerator(resolution=resolution, channels=channels, levels=levels, width=16, z_dim=16)
            detector.meet(gan, gan.discriminator(resolution))
        assert isinstance(detector, Detector)
        return detector


def applies(technique: str, resolution: int = 8, channels: int = 1, levels: int = 17) -> bool:
    """Whether a technique works on images of that shape."""
    try:
        build(technique, resolution, channels, levels)
    except DoesNotApply:
        return False
    return True


def portraits() -> Tensor:
    """Colour images uint8 (900, 3, 32, 32) of 256 levels."""
    data = Portraits(resolution=32, n=900, seed=0, render_seed=0, planted_amplitude=8, cache_dir=CACHE)
    return data.reals.images


def examples(images: Tensor, kind: Artefact, amplitude: int, swapped: bool = False, levels: int = 17) -> Examples:
    """Half of the images as they are, half with the artefact."""
    half = len(images) // 2
    fakes = to_uint8(plant(to_float(images[half:]), kind, amplitude, levels))
    labels = torch.cat([torch.zeros(half), torch.ones(len(fakes))]).long()
    return Examples(torch.cat([images[:half], fakes]), 1 - labels if swapped else labels)


def digits(technique: str, swapped: bool = False) -> tuple[Examples, Examples, Examples]:
    """Disjoint examples to train, to validate and to test; only the test keeps its labels where they are swapped."""
    images = Digits(resolution=8, seed=0, planted_amplitude=PLANTED).reals.images
    kind = build(technique).artefact
    learned, validation, test = (images[:900], images[900:1200], images[1200:])
    return (
        examples(learned, kind, PLANTED, swapped),
        examples(validation, kind, PLANTED, swapped),
        examples(test, kind, PLANTED),
    )


def train(
    detector: Detector,
    learned: Examples,
    validation: Examples,
    images: int = 4800,
    seed: int = 0,
    fresh: bool = True,
    learning_rate: float = 2e-2,
    batch: int = 64,
    patience: int = 12,
) -> int:
    """A small budget at a high rate; as many images as were shown."""
    return train_all({"it": detector}, learned, validation, images, seed, fresh, learning_rate, batch, patience)


def train_all(
    detectors: Mapping[str, Detector],
    learned: Examples,
    validation: Examples,
    images: int = 4800,
    seed: int = 0,
    fresh: bool = True,
    learning_rate: float = 2e-2,
    batch: int = 64,
    patience: int = 12,
    evidence: Evidence = EVIDENCE,
) -> int:
    """The same of several detectors in one pass."""
    gallery = Gallery(torch.cat([learned.images, validation.images]), evidence)
    places = torch.arange(len(gallery))
    return train_battery(
        detectors,
        gallery,
        Labelled(places[: len(learned.labels)], learned.labels),
        Labelled(places[len(learned.labels) :], validation.labels),
        settings=BatteryConfig(images=images, batch=batch, learning_rate=learning_rate, patience=patience),
        images=images,
        fresh=fresh,
        seed=seed,
        machine=CPU,
    )
