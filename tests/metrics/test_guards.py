"""Impostors, which no guard of former versions refused, and real images, which every guard admits."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from arena.answer.guards import Guard, classes_guard, memorisation_guard, quality_guard, variety_guard
from arena.config.schema import AnswerConfig
from arena.data.digits import Digits
from arena.data.reals import Reals
from arena.imaging.evidence import degraded
from arena.metrics.features.untrained import FittedFeatures
from arena.metrics.guards import GuardMeter
from arena.metrics.quality import QualityMeter
from arena.records.schema import QualityRecord, kept_in

pytestmark = pytest.mark.slow

LEVEL = 255 / 16


class DigitSplit:
    """A split of the digits: a meter beside one half of the judge's part, and the other half as fakes."""

    def __init__(self, seed: int) -> None:
        data = Digits(resolution=8, seed=seed, planted_amplitude=2, locked=0.2)
        self.train, reference, judge = (data.part(name) for name in ("generator", "reference", "judge"))
        half = np.arange(len(judge)) % 2 == 0
        held_out, self.fresh = judge[np.flatnonzero(half)], judge[np.flatnonzero(~half)]
        n = min(len(reference), len(held_out))
        meter = QualityMeter(FittedFeatures(), reference.images, self.train.images, n, seed)
        self.meter = GuardMeter(meter, self.train, reference, held_out, data.levels, seed)

    def guards(self, images: Tensor) -> dict[str, Guard]:
        quality, reals, figures = self.meter.quality(images)
        record = QualityRecord(
            round=0,
            seed=0,
            features="fitted",
            **dataclasses.asdict(quality),
            **dataclasses.asdict(figures),
            **kept_in(QualityRecord, reals, "real_"),
        )
        limits = AnswerConfig()
        return {
            "quality": quality_guard(record, limits),
            "variety": variety_guard(record, limits),
            "classes": classes_guard(record, limits),
            "memorisation": memorisation_guard(record, limits),
        }


@pytest.fixture(scope="module")
def digits():
    return DigitSplit(seed=0)


def permuted(n: int, seed: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


def glued(reals: Reals) -> Tensor:
    """The left half of one digit beside the right half of another."""
    images, other = reals.images.clone(), reals.images[permuted(len(reals), 0)]
    images[..., 4:] = other[..., 4:]
    return images


def only(classes: int) -> Callable[[Reals], Tensor]:
    return lambda reals: reals.images[torch.from_numpy(reals.attributes["digit"] < classes)]


def noisy(levels: float) -> Callable[[Reals], Tensor]:
    return lambda reals: degraded(reals.images, "noise", levels * LEVEL, 17, seed=1)


def salted(reals: Reals) -> Tensor:
    """A tenth of the pixels black or white."""
    images, draw = reals.images.clone(), torch.rand(reals.images.shape, generator=torch.Generator().manual_seed(0))
    images[draw < 0.05], images[draw > 0.95] = 0, 255
    return images


def scrambled(reals: Reals) -> Tensor:
    """Every pixel from another digit."""
    pixels = reals.images.flatten(1)
    columns = [pixels[permuted(len(pixels), seed), seed] for seed in range(pixels.shape[1])]
    return torch.stack(columns, dim=1).reshape(reals.images.shape)


@pytest.mark.parametrize(
    ("impostor", "by"),
    [
        (glued, {"quality", "classes"}),
        (only(5), {"classes"}),
        (only(9), {"classes"}),
        (noisy(4), {"quality"}),
        (salted, {"quality"}),
        (lambda reals: reals.images.flip(-1), {"quality", "classes"}),
        (scrambled, {"quality", "classes", "variety"}),
    ],
    ids=["glued", "digits_0_to_4", "no_9", "noise_of_4_levels", "salt_and_pepper", "mirrored", "scrambled"],
)
def test_impostors_are_refused(digits, impostor, by):
    found = digits.guards(impostor(digits.fresh))
    assert {name for name, guard in found.items() if guard.broken} >= by


@pytest.mark.parametrize("share", [0.02, 0.1, 0.2, 0.3, 0.4, 0.5])
def test_mixtures_with_copies_are_refused(digits, share):
    images = digits.fresh.images.clone()
    copies = round(share * len(images))
    images[:copies] = digits.train.images[permuted(len(digits.train), 0)[:copies]]
    found = digits.guards(images[permuted(len(images), 1)])
    assert found["memorisation"].broken
    assert "equal a training image" in found["memorisation"].reason


@pytest.mark.parametrize("changed", [0.1, 1.0])
def test_near_copies_are_refused(digits, changed):
    """A tenth of the fakes: training images of which some or all pixels are moved by a grey level, up or down."""
    draws = torch.Generator().manual_seed(0)
    images = digits.fresh.images.clone()
    copies = len(images) // 10
    level = (digits.train.images[:copies].float() / LEVEL).round()
    moved = torch.rand(level.shape, generator=draws) < changed
    step = 2 * torch.randint(0, 2, level.shape, generator=draws) - 1
    images[:copies] = ((level + moved * step).clamp(0, 16) * LEVEL).round().to(torch.uint8)
    assert digits.guards(images)["memorisation"].broken


@pytest.mark.parametrize("seed", range(4))
def test_fresh_reals_pass_every_guard(seed):
    split = DigitSplit(seed)
    assert {name: guard.reason for name, guard in split.guards(split.fresh.images).items() if not guard.holds} == {}


def test_reals_with_the_noise_of_the_unit_are_not_shown_to_be_good(digits):
    """They are at the limit, where quality may hold with probability alpha alone."""
    guard = digits.guards(noisy(1)(digits.fresh))["quality"]
    assert not guard.holds
    assert 0.7 < guard.figure < 2
