"""Shared by the tests of detectors: examples with a planted artefact, detectors from their configs, a small attack."""

import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from sklearn.metrics import roc_auc_score
from torch import Tensor

from arena.config.compose import CONF
from arena.config.schema import BatteryConfig
from arena.core.errors import DoesNotApply
from arena.data.digits import Digits
from arena.data.portraits.portraits import Portraits
from arena.detectors.base import Detector, FittedDetector, GanAwareDetector
from arena.detectors.gallery import Gallery, Labelled, score
from arena.detectors.heads import Head, Sample
from arena.generators.controls import Artefact, Planted
from arena.generators.dcgan import DcganGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import ImageShape, on_levels, to_float, to_uint8
from arena.training.battery import BatchGroup, train_battery
from arena.training.machine import Machine

OTHERS = {"stack", "bag", "module", "probe"}
"""Configs that are no technique by themselves: over others, or with files still to be named."""
TECHNIQUES = sorted({path.stem for path in (CONF / "detector").glob("*.yaml")} - OTHERS)
PAPER = sorted({f"paper/{path.stem}" for path in (CONF / "detector" / "paper").glob("*.yaml")} - {"paper/probe"})
"""Variants at published sizes, without that of a vision encoder, whose weights are files."""
CACHE = Path(tempfile.gettempdir()) / "arena-test-portraits"
"""Outside the checkout, so that rendered portraits are kept."""
D = TypeVar("D", bound=Detector)
H = TypeVar("H", bound=Head)
CPU = Machine(torch.device("cpu"), "fp32")
EVIDENCE = Evidence(levels=17)
PLANTED = int(OmegaConf.load(CONF / "data" / "digits.yaml").planted_amplitude)


@dataclass(frozen=True)
class Examples:
    """Labelled images: uint8 (N, C, H, W) and labels (N,), 0 real and 1 fake."""

    images: Tensor
    labels: Tensor

    def reals(self) -> Self:
        """The real images alone."""
        return type(self)(self.images[self.labels == 0], self.labels[self.labels == 0])


def noise(*shape: int, seed: int = 0) -> Tensor:
    """Uniform noise in [-1, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@functools.cache
def config(technique: str) -> DictConfig:
    """The config of a technique, ``cnn`` or ``paper/cnn`` say, with its defaults."""
    with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
        composed = compose(f"detector/{technique}").detector
    return composed.paper if technique in PAPER else composed


def build(technique: str, resolution: int = 8, channels: int = 1, levels: int = 17, seed: int = 0) -> Detector:
    """Build a technique from its config."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        factory = instantiate(config(technique), _convert_="all")
        detector = factory(resolution=resolution, channels=channels, levels=levels)
        if isinstance(detector, GanAwareDetector):  # a GAN of untrained weights, the same for every seed
            torch.manual_seed(0)
            gan = DcganGenerator(resolution=resolution, channels=channels, levels=levels, width=16, z_dim=16)
            detector.attach_gan(gan, gan.discriminator(resolution))
        assert isinstance(detector, Detector)
        return detector


def build_a(kind: type[D], technique: str, *shape: int) -> D:
    """Build a technique of that class, ``FittedDetector`` or ``Cnn`` say, from its config."""
    detector = build(technique, *shape)
    assert isinstance(detector, kind)
    return detector


@functools.cache
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


def textures(n: int, seed: int, side: int = 32) -> Tensor:
    """Images uint8 (n, 1, side, side) with the falling spectrum of a photograph, clear of black and white."""
    rng = np.random.default_rng(seed)
    f = np.fft.fftfreq(side)
    falloff = 1 / np.maximum(np.hypot(f[:, None], f[None]), 1 / side)
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, 1, side, side))) * falloff).real
    field = 0.25 * field / field.std((2, 3), keepdims=True)
    return to_uint8(
        on_levels(torch.from_numpy(field + 0.03 * rng.normal(size=field.shape)).float().clamp(-0.9, 0.9), 256)
    )


def plant(images: Tensor, kind: Artefact, amplitude: float, levels: int, **traits: Any) -> Tensor:
    """Images (B, C, H, W) with a planted artefact; the traits are further arguments of ``Planted``."""
    channels, resolution = images.shape[1:3]
    shape = ImageShape(resolution=resolution, channels=channels, levels=levels)
    return Planted(kind=kind, amplitude=amplitude, **traits, **shape).plant(images)


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


def train(detector: Detector, learned: Examples, validation: Examples, **settings: Any) -> int:
    """Train on a small budget at a high rate, with settings as those of ``train_all``; returns the images shown."""
    return train_all({"it": detector}, learned, validation, **settings)


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
    """Train several detectors in one pass."""
    gallery = Gallery(torch.cat([learned.images, validation.images]), evidence)
    places = torch.arange(len(gallery))
    train = Labelled(places[: len(learned.labels)], learned.labels)
    return train_battery(
        [BatchGroup(detectors, train, Labelled(places[len(learned.labels) :], validation.labels), seed)],
        gallery,
        settings=BatteryConfig(images=images, batch=batch, learning_rate=learning_rate, patience=patience),
        images=images,
        fresh=fresh,
        machine=CPU,
    )


def sample(detector: FittedDetector, examples: Examples) -> Sample:
    """Features of examples, and their labels."""
    return Sample(detector.features(to_float(examples.images)), examples.labels)


def fit(detector: FittedDetector, learned: Examples, validation: Examples) -> None:
    """Fit a technique on examples; one that needs no fakes gets the reals alone."""
    if not detector.needs_fakes:
        learned, validation = learned.reals(), validation.reals()
    detector.fit(sample(detector, learned), sample(detector, validation), seed=0)


def logits(detector: FittedDetector, examples: Examples) -> Tensor:
    """Logits of examples, without a gradient."""
    with torch.no_grad():
        return detector(to_float(examples.images))


def auc_on_textures(technique: str, kind: Artefact | None, amplitude: int = 8) -> float:
    """AUC of a technique trained on textures with and without an artefact; of None, half of the textures are fakes."""
    parts = [textures(n, seed) for seed, n in enumerate((400, 200, 600))]
    if kind is None:
        learned, validation, test = (Examples(part, torch.arange(len(part)) % 2) for part in parts)
    else:
        learned, validation, test = (examples(part, kind, amplitude, levels=256) for part in parts)
    detector = build(technique, 32, 1, 256)
    train(detector, learned, validation, images=2400, evidence=Evidence(levels=256))
    return float(roc_auc_score(test.labels, score(detector, test.images, Evidence(levels=256))))


def clouds(n: int, features: int, seed: int, fakes: float = 0.5, apart: float = 1.0) -> Sample:
    """Two normal classes on axes of very different scales, ``apart`` deviations from each other along each axis."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(n) < fakes * n).astype(np.int64)
    scales = np.geomspace(0.1, 100, features)
    values = (rng.normal(size=(n, features)) + apart * labels[:, None]) * scales + 3 * scales
    return Sample(torch.from_numpy(values), torch.from_numpy(labels))


def fitted(head: H, learned: Sample, validation: Sample, seed: int = 0) -> H:
    """Fit a head, and return it."""
    head.fit(learned, validation, seed)
    return head


def gradient(detector: Detector, images: Tensor, evidence: Evidence) -> Tensor:
    """Gradient of the logits' sum with respect to float images, through the evidence path."""
    images = images.clone().requires_grad_()
    detector.eval()
    (of_logits,) = torch.autograd.grad(detector(evidence(images)).sum(), images)
    return of_logits


def drops(detector: Detector, images: Tensor, evidence: Evidence) -> tuple[Tensor, Tensor]:
    """Decrease of each score at a step of one grey level of every pixel: down the gradient, and at random.

    Args:
        detector: trained.
        images: uint8 (N, C, H, W).
        evidence: its levels set the size of the step; the stepped image is rounded to uint8 and scored as any other.
    """
    floats, level = to_float(images), 2 / (evidence.levels - 1)
    before = score(detector, images, evidence)
    aside = torch.randn(floats.shape, generator=torch.Generator().manual_seed(0)).sign()
    after = [
        score(detector, to_uint8((floats - level * direction).clamp(-1, 1)), evidence)
        for direction in (gradient(detector, floats, evidence).sign(), aside)
    ]
    return before - after[0], before - after[1]
