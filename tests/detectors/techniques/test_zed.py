import math

import pytest
import torch
from sklearn.metrics import roc_auc_score

from arena.data.digits import Digits
from arena.detectors.base import FittedDetector
from arena.detectors.techniques.zed import LEAST_SCALE, Coder, PixelLogistic, Predictor, Surprise, coarser
from arena.imaging.images import on_levels, to_float
from tests.detectors.planted import Examples, build_a, fit, logits, noise, sample


def grey_levels(levels: int) -> torch.Tensor:
    return torch.linspace(-1, 1, levels, dtype=torch.float64)


def laws(levels: int) -> PixelLogistic:
    """Distributions of many means, also beyond the ends, and of scales from the least upwards."""
    means, scales = torch.linspace(-1.5, 1.5, 31), torch.tensor([LEAST_SCALE, 0.5, 1, 2, 4]) * 2 / (levels - 1)
    mean, scale = torch.meshgrid(means.double(), scales.double(), indexing="ij")
    return PixelLogistic(mean[..., None], scale[..., None])


@pytest.mark.parametrize("levels", [17, 256])
def test_code_lengths_are_those_of_probabilities_that_sum_to_one(levels):
    costs = laws(levels).cost(grey_levels(levels), 2 / (levels - 1))
    torch.testing.assert_close(costs.neg().exp().sum(-1), torch.ones(31, 5).double())


def test_a_code_length_by_hand():
    """At the mean, a bin as wide as the scale holds the sigmoid of 1/2 less that of -1/2."""
    law = PixelLogistic(torch.zeros(1), torch.full((1,), 0.125))
    sigmoid = 1 / (1 + math.exp(-0.5))
    assert float(law.cost(torch.zeros(1), 0.125)) == pytest.approx(-math.log(2 * sigmoid - 1), rel=1e-5)
    assert float(law.cost(torch.ones(1), 0.125)) == pytest.approx(math.log1p(math.exp(7.5)), rel=1e-5)


@pytest.mark.parametrize("levels", [17, 256])
def test_the_expected_code_length_is_the_entropy_up_to_its_integral(levels):
    costs = laws(levels).cost(grey_levels(levels), 2 / (levels - 1))
    expected = (costs.neg().exp() * costs).sum(-1)
    error = (laws(levels).entropy(2 / (levels - 1))[..., 0] - expected).abs()
    assert float(error[:, 0].max()) < 0.12  # at the least scale, about an end
    assert float(error.max(0).values[2:].max()) < 0.02


@pytest.mark.parametrize("value", [-1.0, -0.5, 0.5, 1.0])
def test_the_gradient_of_the_code_length_pulls_a_pixel_to_the_mean_even_at_the_ends(value):
    pixel = torch.tensor([value], requires_grad=True)
    law = PixelLogistic(torch.zeros(1), torch.full((1,), 0.2))
    (slope,) = torch.autograd.grad(law.cost(pixel, 0.125).sum(), pixel)
    assert float(slope) * value > 0
    beyond = PixelLogistic(torch.tensor([2 * value]), torch.full((1,), 0.2))
    (slope,) = torch.autograd.grad(beyond.cost(pixel, 0.125).sum(), pixel)
    assert float(slope) * value < 0


def test_a_coarser_image_has_averages_on_grey_levels():
    images = on_levels(noise(3, 1, 9, 8), 17)
    averages = coarser(images, 17)
    assert averages.shape == (3, 1, 4, 4)
    torch.testing.assert_close(averages[:, 0, 0, 0], on_levels(images[:, 0, :2, :2].mean((1, 2)), 17))
    assert torch.equal(on_levels(averages, 17), averages)


def test_a_distribution_does_not_know_the_pixel_it_is_of():
    """Nor later channels, nor later pixels of any block: else it were no code."""
    torch.manual_seed(0)
    predictor = Predictor(channels=3, coded=1, width=4, bin_width=2 / 255)
    averages, coded, pixels = noise(1, 3, 4, 4), noise(1, 3, 4, 4, seed=1), noise(1, 3, 4, 4, seed=2)
    pixels.requires_grad_()
    law = predictor(averages, [coded], pixels)
    for channel in range(3):
        (known,) = torch.autograd.grad((law.mean + law.scale)[:, channel].sum(), pixels, retain_graph=True)
        seen = known.abs().sum((0, 2, 3)) > 0
        assert seen.tolist() == [before < channel for before in range(3)]


@pytest.mark.parametrize(("side", "resolutions"), [(8, 2), (9, 2), (15, 2), (32, 3)])
def test_images_of_any_side_have_an_excess_and_an_expectation_at_each_resolution(side, resolutions):
    coder = Coder(side=side, channels=3, levels=256, resolutions=3, width=4)
    assert coder(noise(2, 3, side, side)).shape == (2, 2 * resolutions)


@pytest.fixture(scope="module")
def on_digits():
    images = Digits(resolution=8, seed=0, planted_amplitude=2).reals.images
    images = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:2400]]
    parts = [Examples(part, torch.arange(len(part)) % 2) for part in images.split([900, 300, 1200])]
    detector = build_a(FittedDetector, "zed")
    fit(detector, *parts[:2])
    return detector, parts


@pytest.mark.slow
def test_the_coder_has_learned_reals(on_digits):
    """It codes digits in fewer nats than their histogram does, and as many as it expects."""
    detector, (learned, _, test) = on_digits
    head, images = detector.head, to_float(test.images)
    shares = to_float(learned.images).flatten().unique(return_counts=True)[1] / learned.images.numel()
    with torch.no_grad():
        costs, surprises = head.coder.costs(images), head.surprise(detector.features(images))
    assert float(costs[:, 0].mean()) < 0.7 * float(-(shares * shares.log()).sum())
    assert float(surprises[:, 0].mean().abs()) < 0.05 * float(costs[:, 0].mean())


@pytest.mark.slow
def test_reals_from_reals_it_does_not_tell(on_digits):
    detector, (*_, test) = on_digits
    assert roc_auc_score(test.labels, logits(detector, test)) == pytest.approx(0.5, abs=0.06)


@pytest.mark.slow
def test_noise_surprises_it(on_digits):
    detector, (*_, test) = on_digits
    rough = to_float(test.images[:100]) + 0.125 * noise(100, 1, 8, 8).sign()
    with torch.no_grad():
        assert (detector(on_levels(rough, 17)) > detector(to_float(test.images)).quantile(0.95)).float().mean() > 0.95


def test_its_fit_depends_on_its_seed_and_the_reals_alone():
    images = Digits(resolution=8, seed=0, planted_amplitude=2).reals.images[:60]
    both = Examples(images, torch.arange(60) % 2)
    heads = []
    for examples, seed in ((both, 0), (both.reals(), 0), (both, 1)):
        detector = build_a(FittedDetector, "zed")
        assert isinstance(detector.head, Surprise)
        detector.head.steps = 3
        drawn = sample(detector, examples)
        torch.manual_seed(len(heads))
        detector.head.fit(drawn, drawn, seed)
        heads.append(detector.head.logits(drawn.features[:1]))
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
