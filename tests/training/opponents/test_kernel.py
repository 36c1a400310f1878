"""Features that pull fakes to the distribution of reals: references, the aim at chance, and resumption."""

from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from arena.core.machine import at_once
from arena.detectors.base import FittedDetector, LearnedDetector
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from arena.training.opponents.kernel import (
    Kernel,
    KernelOpponents,
    MatchedTechnique,
    Whitening,
    discrepancy,
    feature_map,
)
from arena.training.opponents.opponents import Pull
from tests.detectors.planted import build
from tests.training.opponents.test_live import images, rng, size

RULES = Kernel(strength=0.5, sample=4, components=32, reals=128, queue=64, ramp=4.0)
BATCH = 32
TECHNIQUES = ("spectrum", "forest", "cnn")


def features(technique: str):
    torch.manual_seed(0)
    return feature_map(cast(FittedDetector | LearnedDetector, build(technique, seed=0, levels=256)))


def seen(n: int, seed: int, smooth: bool = False) -> Tensor:
    return Evidence(levels=256)(to_float(images(n, seed, smooth)))


def technique(name: str, seed: int = 0) -> MatchedTechnique:
    return MatchedTechnique(features(name), seen(400, 11), seen(400, 1), seen(200, 2, smooth=True), RULES, BATCH, seed)


def opponents(*names: str) -> KernelOpponents:
    return KernelOpponents(RULES, {name: technique(name) for name in names})


def test_the_discrepancy_is_the_unbiased_estimate_of_gretton_et_al():
    """A rational quadratic kernel is a mixture of Gaussian ones, integrated here over a grid of quantiles."""
    x, y = (torch.randn(n, 3, generator=rng(n)) for n in (12, 9))
    width = torch.tensor(1.7)

    def mixture(a: Tensor, b: Tensor) -> np.ndarray:
        squared = torch.cdist(a, b).square().numpy()
        return np.mean([(1 + squared / (2 * 1.7 * e)) ** -e for e in (0.2, 1.0, 5.0)], axis=0)

    def off_diagonal(k: np.ndarray) -> float:
        return float(k[~np.eye(len(k), dtype=bool)].mean())

    expected = off_diagonal(mixture(x, x)) + off_diagonal(mixture(y, y)) - 2 * mixture(x, y).mean()
    assert float(discrepancy(x, y, width)) == pytest.approx(expected, abs=1e-5)
    assert float(discrepancy(x, x + 50, width)) > 0.5


def test_earlier_fakes_count_as_fakes_and_have_no_gradient():
    fakes, earlier, reals = (torch.randn(n, 3, generator=rng(n)).requires_grad_() for n in (5, 7, 9))
    width = torch.tensor(1.7)
    together, apart = discrepancy(torch.cat([fakes, earlier]), reals, width), discrepancy(fakes, reals, width, earlier)
    torch.testing.assert_close(apart, together)
    of_fakes, of_earlier = torch.autograd.grad(apart, (fakes, earlier), allow_unused=True)
    torch.testing.assert_close(of_fakes, torch.autograd.grad(together, fakes)[0])
    assert of_earlier is None


def test_the_discrepancy_has_mean_zero_between_samples_of_one_distribution():
    found = list[float]()
    for k in range(400):
        x, y = torch.randn(2, 20, 4, generator=rng(k))
        found.append(float(discrepancy(x, y, torch.tensor(2.0))))
    assert abs(np.mean(found)) < 4 * np.std(found) / len(found) ** 0.5


def test_whitened_features_of_both_classes_have_equal_deviations():
    mixed = torch.randn(500, 6, generator=rng()) @ torch.randn(6, 6, generator=rng(1))
    white = Whitening.of(mixed, 6)(mixed)
    covariance = torch.cov(white.T)
    assert (covariance - torch.diag(covariance.diag())).abs().max() < 0.05
    assert covariance.diag().max() < 1.01


def test_a_direction_in_which_only_fakes_vary_is_kept():
    reals, fakes = torch.zeros(100, 3), torch.zeros(100, 3)
    reals[:, 0], fakes[:, 0], fakes[:, 2] = torch.randn(100), torch.randn(100), 1.0
    white = Whitening.of(torch.cat([reals, fakes]), 3)
    assert float((white(fakes).mean(0) - white(reals).mean(0)).norm()) > 1


@pytest.mark.parametrize("name", TECHNIQUES)
def test_reals_feel_no_pull_and_fakes_a_whole_one(name: str):
    """Reals differ from reals by about one deviation, so that a small share may remain."""
    found = opponents(name)
    for k in range(30):
        found.pull(seen(BATCH, 100 + k), torch.ones(BATCH, 1, 8, 8), rng(k))
    assert float(found.techniques[name].share) < 0.3
    sizes = list[float]()
    for k in range(30):
        fakes = seen(BATCH, 200 + k, smooth=True)
        sizes.append(size(found.pull(fakes, torch.ones_like(fakes), rng(k)).gradient))
    assert float(found.techniques[name].share) == 1
    assert 0.5 * RULES.strength < sizes[-1] <= RULES.strength * 1.001


def test_many_features_pull_no_fakes_of_the_distribution_of_reals():
    """Of 2,000 features and few images, the principal components hold the sample that they were fitted on."""

    def many(images: Tensor, _: torch.Generator) -> Tensor:
        return images.flatten(1)

    def noise(n: int, seed: int) -> Tensor:
        return torch.randn(n, 5, 20, 20, generator=rng(seed))

    technique = MatchedTechnique(many, noise(300, 1), noise(300, 2), noise(300, 3), RULES, BATCH, 0)
    for k in range(40):
        technique.pull(noise(BATCH, 100 + k), rng(k))
    assert float(technique.share) < 0.3


@pytest.mark.parametrize("name", TECHNIQUES)
def test_following_the_pull_brings_the_features_to_those_of_reals(name: str):
    found, evidence = opponents(name), Evidence(levels=256)
    fakes = seen(BATCH, 3, smooth=True).requires_grad_()
    optimizer = torch.optim.Adam([fakes], lr=0.05, betas=(0.0, 0.99))
    excesses = list[float]()
    for k in range(90):
        pull = found.pull(evidence(fakes).detach(), torch.ones_like(fakes), rng(k))
        excesses.append(float(pull.loss))
        fakes.grad = pull.gradient
        optimizer.step()
    assert excesses[0] > 20
    assert np.mean(excesses[-10:]) < excesses[0] / 2


@pytest.mark.parametrize("fakes", [40, 70, 200])
def test_a_queue_that_begins_short_fills_up_to_its_size(fakes: int):
    """Half of the fakes of the round are its beginning. A step with fewer fakes than others would be a noisier one."""
    found = MatchedTechnique(features("spectrum"), seen(400, 11), seen(400, 1), seen(fakes, 2), RULES, BATCH, 0)
    assert len(found.queue) == min(fakes // 2, RULES.queue)
    for k in range(4):
        found.pull(seen(BATCH, k), rng(k))
    assert len(found.queue) == RULES.queue
    latest = found.whitening(found.features(seen(BATCH, 3), rng()))
    torch.testing.assert_close(found.queue[-BATCH:], latest)


def test_fakes_that_are_not_compared_are_not_looked_at():
    """With 48 reals a step compares 24 fakes. The gradient of the others is 0 by design."""
    few = MatchedTechnique(features("spectrum"), seen(400, 11), seen(48, 1), seen(200, 2), RULES, BATCH, 0)
    found = KernelOpponents(RULES, {"spectrum": few})
    for k in range(30):
        fakes = seen(BATCH, k, smooth=True)
        found.pull(fakes, torch.ones_like(fakes), rng(k))
    looked = found.meter.gradients["spectrum"]
    assert few.pulled == 24
    assert (looked.fakes % 24, looked.zero) == (0, 0)
    assert looked.fakes > 0


class Backwards(LearnedDetector):
    """A network whose last layer is the first that it is made of."""

    artefact = "checkerboard"

    def __init__(self) -> None:
        super().__init__(resolution=8, channels=1, levels=256)
        self.head, self.first = nn.Linear(3, 1), nn.Linear(64, 3)

    def logits(self, images: Tensor) -> Tensor:
        return self.head(self.first(images.flatten(1)).relu()).squeeze(1)


def test_the_last_layer_is_the_one_that_acts_last():
    network = Backwards()
    found = feature_map(network)(seen(5, 1), rng())
    torch.testing.assert_close(found, network.first(seen(5, 1).flatten(1)).relu())


def test_a_restored_opponent_pulls_on_to_the_bit():
    first, second = opponents("spectrum", "forest"), opponents("spectrum", "forest")
    for k in range(3):
        fakes = seen(BATCH, k, smooth=True)
        first.pull(fakes, torch.ones_like(fakes), rng(k))
    second.restore(first.state())
    fakes = seen(BATCH, 9, smooth=True)
    one, other = (each.pull(fakes, torch.ones_like(fakes), rng(9)) for each in (first, second))
    assert torch.equal(one.gradient, other.gradient)


@pytest.mark.parametrize("name", TECHNIQUES)
def test_autocast_changes_neither_the_excess_nor_the_pull(name: str):
    """The unit of the excess is measured in fp32."""
    fakes, found = seen(BATCH, 5, smooth=True), list[Pull]()
    for enabled in (False, True):
        matched = technique(name)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            found.append(matched.pull(fakes, rng()))
    assert torch.equal(found[0].loss, found[1].loss)
    assert torch.equal(found[0].gradient, found[1].gradient)


def test_threads_change_no_pull():
    fakes, own = seen(BATCH, 5, smooth=True), torch.ones(BATCH, 1, 8, 8)
    alone, together = (KernelOpponents(RULES, {name: technique(name) for name in TECHNIQUES}) for _ in range(2))
    for k in range(3):
        one = alone.pull(fakes, own, rng(k))
        with at_once(2):
            two = together.pull(fakes, own, rng(k))
        assert torch.equal(one.loss, two.loss)
        assert torch.equal(one.gradient, two.gradient)
    assert alone.meter.spent == together.meter.spent
