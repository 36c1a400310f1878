"""Projected gradient descent within a bound of grey levels."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arena.detectors.base import Detector
from arena.detectors.gallery import score
from arena.imaging.evidence import Evidence
from arena.imaging.images import on_levels, to_float, to_uint8
from arena.training.perturbation import perturbed

CPU = torch.device("cpu")


class Linear(Detector):
    """The logit is a scalar product with a fixed pattern."""

    differentiable, artefact = True, "checkerboard"

    def __init__(self, resolution: int, channels: int, levels: int) -> None:
        super().__init__(resolution=resolution, channels=channels, levels=levels)
        rng = torch.Generator().manual_seed(0)
        self.weight = torch.nn.Parameter(torch.randn(channels, resolution, resolution, generator=rng))

    def forward(self, images: Tensor) -> Tensor:
        return (images * self.weight).sum((1, 2, 3))


class Blind(Linear):
    """No pixel matters."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * 0 + 1


class Wavy(Linear):
    """The logit has many minima."""

    def forward(self, images: Tensor) -> Tensor:
        return (30 * images * self.weight).sin().sum((1, 2, 3))


def some_images(levels: int, n: int = 6, channels: int = 1, seed: int = 0) -> Tensor:
    """Images (n, channels, 8, 8) on grey levels, black and white among them."""
    raw = torch.rand(n, channels, 8, 8, generator=torch.Generator().manual_seed(seed)).mul(2.4).sub(1.2)
    return to_uint8(on_levels(raw, levels))


def in_levels(images: Tensor, levels: int) -> Tensor:
    """Images as numbers of grey levels."""
    return to_float(images).add(1).mul((levels - 1) / 2)


def attacked(images: Tensor, levels: int, detector: Detector | None = None, **changed: int) -> Tensor:
    """Attack one detector, without a codec."""
    keywords = {"levels": levels, "bound": 1, "steps": 5, "seed": 0} | changed
    detector = Linear(8, images.shape[1], levels) if detector is None else detector
    return perturbed(images, [detector], Evidence(levels=levels), **keywords, device=CPU)


@settings(max_examples=25, deadline=None)
@given(
    levels=st.sampled_from([2, 16, 17, 100, 256]),
    share=st.floats(0.01, 0.99),
    steps=st.integers(1, 6),
    channels=st.sampled_from([1, 3]),
    jpeg=st.sampled_from([None, 75]),
    seed=st.integers(0, 99),
)
def test_the_bound_holds_after_rounding(
    levels: int, share: float, steps: int, channels: int, jpeg: int | None, seed: int
):
    bound = max(1, int(share * min(levels - 1, 12)))
    images = some_images(levels, 3, channels, seed)
    found = perturbed(
        images,
        [Linear(8, channels, levels)],
        Evidence(levels=levels, jpeg=jpeg),
        levels=levels,
        bound=bound,
        steps=steps,
        seed=seed,
        device=CPU,
    )
    assert found.dtype == torch.uint8
    assert torch.equal(found, to_uint8(on_levels(to_float(found), levels)))
    change = in_levels(found, levels).round() - in_levels(images, levels).round()
    assert change.abs().max() <= bound


def test_of_a_linear_detector_every_pixel_goes_against_its_weight():
    """The optimum of a linear objective within a box is a corner of the box."""
    levels, bound = 17, 2
    images, detector = some_images(levels), Linear(8, 1, levels)
    sign = -detector.weight.sign()
    corner = in_levels(images, levels).round() + bound * sign
    expected = corner.clamp(0, levels - 1)
    found = in_levels(attacked(images, levels, detector, bound=bound, steps=20), levels).round()
    best = (expected * sign).sum((1, 2, 3))
    assert torch.all((found * sign).sum((1, 2, 3)) >= best - 1)
    assert float((found == expected).float().mean()) > 0.99


def test_no_image_ends_worse_than_it_was_through_a_codec_that_hides_the_gradient():
    levels = 256
    images, detector, evidence = some_images(levels, 8), Linear(8, 1, levels), Evidence(levels=levels, jpeg=40)
    found = perturbed(images, [detector], evidence, levels=levels, bound=3, steps=4, seed=0, device=CPU)
    before, after = (score(detector, each, evidence) for each in (images, found))
    assert torch.all(after <= before)
    assert float(after.mean()) < float(before.mean())


def test_without_a_gradient_images_stay():
    images = some_images(17)
    assert torch.equal(attacked(images, 17, Blind(8, 1, 17)), images)


def test_several_detectors_are_attacked_together():
    images = some_images(17)
    whole, half = Linear(8, 1, 17), Linear(8, 1, 17)
    with torch.no_grad():
        half.weight[:, :4] = 0
    found = perturbed(images, [whole, half], Evidence(levels=17), levels=17, bound=1, steps=10, seed=0, device=CPU)
    for detector in (whole, half):
        before, after = (score(detector, each, Evidence(levels=17)) for each in (images, found))
        assert torch.all(after < before)


def test_the_seed_alone_draws_the_starts():
    images, detector = some_images(256, 4), Wavy(8, 1, 256)
    state = torch.get_rng_state()
    one, again, other = (attacked(images, 256, detector, bound=60, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_no_images_give_none():
    assert len(attacked(some_images(17)[:0], 17)) == 0
