import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from arena.generators.style import ResidualDiscriminator
from arena.training.ada import LARGEST, Augmentation, Augmenter, Chance, augment, geometry, recolour, warp


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def matrix(angle: float = 0.0, shift: tuple[float, float] = (0.0, 0.0), flip: float = 1.0, n: int = 2) -> Tensor:
    rows = [
        [flip * math.cos(angle), -math.sin(angle), shift[0]],
        [flip * math.sin(angle), math.cos(angle), shift[1]],
    ]
    return torch.tensor(rows).expand(n, 2, 3)


IMAGES = torch.randn(2, 3, 8, 8, generator=rng(7))


@pytest.mark.parametrize("channels", [1, 3])
def test_at_probability_0_nothing_changes(channels: int) -> None:
    images = IMAGES[:, :channels]
    torch.testing.assert_close(augment(images, torch.tensor(0.0), rng()), images, rtol=1e-4, atol=1e-5)


def test_the_share_of_changed_images_grows_with_the_probability() -> None:
    images = torch.randn(400, 1, 8, 8)
    shares = []
    for p in (0.01, 0.1, 0.8):
        changed = (augment(images, torch.tensor(p), rng()) - images).abs().amax((1, 2, 3)) > 1e-3
        shares.append(changed.float().mean().item())
    assert shares == sorted(shares)
    assert shares[0] < 0.2 < shares[1] < 0.95 < shares[2]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (matrix(), lambda x: x),
        (matrix(flip=-1.0), lambda x: x.flip(3)),
        (matrix(angle=math.pi / 2), lambda x: x.rot90(1, (2, 3))),
        (matrix(shift=(2 * 2 / 8, 0.0)), lambda x: torch.cat([x[..., 2:], x[..., [7, 6]]], 3)),  # mirrored at the edge
    ],
)
def test_the_warp_is_exact_on_the_grid(where: Tensor, expected: Callable[[Tensor], Tensor]) -> None:
    torch.testing.assert_close(warp(IMAGES, where), expected(IMAGES), rtol=1e-4, atol=1e-5)


def test_the_warp_has_torchs_gradient_and_a_second_derivative() -> None:
    where = matrix(0.3, (0.1, -0.2))
    ours, theirs = IMAGES.clone().requires_grad_(), IMAGES.clone().requires_grad_()
    grid = F.affine_grid(where, list(IMAGES.shape), align_corners=False)
    reference = F.grid_sample(theirs, grid, "bilinear", "reflection", align_corners=False)
    torch.testing.assert_close(warp(ours, where), reference)
    weight = torch.randn(reference.shape)
    (a,) = torch.autograd.grad((warp(ours, where) * weight).square().sum(), ours)
    (b,) = torch.autograd.grad((reference * weight).square().sum(), theirs)
    torch.testing.assert_close(a, b)
    small = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: warp(x, where[:1].double()).square(), (small,))


def test_a_gradient_penalty_reaches_through_the_augmentation() -> None:
    torch.manual_seed(0)
    discriminator = ResidualDiscriminator(resolution=8, channels=3, width=8)
    images = IMAGES.clone().requires_grad_()
    logits = discriminator(augment(images, torch.tensor(0.8), rng()))
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    weights = [value.grad for name, value in discriminator.named_parameters() if name.endswith("weight")]
    assert all(grad is not None and grad.isfinite().all() and grad.any() for grad in weights)


def test_hue_and_saturation_leave_grey_unchanged() -> None:
    grey = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, 3, 2, 2)
    everything = recolour(grey, Chance(5, torch.tensor(1.0), rng(3)))
    assert (everything - everything[:, :1]).abs().max() < 1e-5


def test_scales_and_stretches_have_the_deviations_of_the_paper() -> None:
    """Karras et al. 2020, ADA, appendix B: log2 of the scale has deviation 0.2, and of the stretch either way."""
    linear = geometry(Chance(20_000, torch.tensor(1.0), rng()), 32)[:, :, :2]
    assert (linear.det().abs().log2() / -2).std() == pytest.approx(0.2, rel=0.05)
    singular = torch.linalg.svdvals(linear)
    assert ((singular[:, 0] / singular[:, 1]).log2() / 2).square().mean().sqrt() == pytest.approx(0.2, rel=0.05)


def test_hue_contrast_and_saturation_have_the_distributions_of_the_paper() -> None:
    """Appendix B: hue is uniform on the circle; log2 of contrast and saturation have deviations 0.5 and 1."""
    colour = torch.tensor([0.5, -0.25, -0.25])[:, None, None].expand(20_000, 3, 1, 1)
    turned = recolour(colour, Chance(20_000, torch.tensor(1.0), rng()))[..., 0, 0]
    chroma = turned - turned.mean(1, keepdim=True)
    length = chroma.norm(dim=1) / colour[0, :, 0, 0].norm()
    assert length.log2().std() == pytest.approx((0.5**2 + 1) ** 0.5, rel=0.05)
    angle = torch.atan2((chroma[:, 1] - chroma[:, 2]) / 2**0.5, chroma[:, 0] * 1.5**0.5)
    assert torch.histc(angle, 8, -math.pi, math.pi).min() > 20_000 / 8 * 0.9


def test_augmentation_depends_on_its_stream_alone() -> None:
    p = torch.tensor(0.5)
    first = augment(IMAGES, p, rng(1))
    torch.manual_seed(5)
    assert torch.equal(first, augment(IMAGES, p, rng(1)))
    assert not torch.equal(first, augment(IMAGES, p, rng(2)))


# Adaptive probability.


def critic(images: Tensor) -> Tensor:
    return images.sum((1, 2, 3))


def test_without_augmentation_the_critic_is_returned_unchanged() -> None:
    assert Augmenter(Augmentation()).before(critic, rng()) is critic
    assert Augmenter(Augmentation(probability=0.1)).before(critic, rng()) is not critic
    assert Augmenter(Augmentation(target=0.6)).before(critic, rng()) is not critic


def test_every_pass_is_augmented_independently() -> None:
    augmented = Augmenter(Augmentation(probability=0.8)).before(critic, rng())
    assert not torch.equal(augmented(IMAGES), augmented(IMAGES))


@pytest.mark.parametrize(
    ("start", "heuristic", "expected"),
    # 12 steps of 10 images, at 1,000 images from 0 to 1: three moves of 4 * 10 / 1000 each.
    [(0.2, 0.9, 0.32), (0.2, 0.3, 0.08), (0.05, -1.0, 0.0), (LARGEST - 0.01, 1.0, LARGEST)],
)
def test_the_probability_follows_the_sign_of_overfitting_less_target(
    start: float, heuristic: float, expected: float
) -> None:
    augmenter = Augmenter(Augmentation(probability=start, target=0.6, images=1000, interval=4))
    for step in range(12):
        augmenter.observe(torch.tensor(heuristic), step, batch=10)
    assert augmenter.probability.item() == pytest.approx(expected, abs=1e-6)


def test_an_adjustment_averages_all_steps_of_its_interval() -> None:
    augmenter = Augmenter(Augmentation(probability=0.5, target=0.6, images=1000, interval=4))
    for step, heuristic in enumerate((1.0, 1.0, 1.0, -1.0)):  # mean 0.5, though most are above
        augmenter.observe(torch.tensor(heuristic), step, batch=10)
    assert augmenter.probability.item() == pytest.approx(0.46)


def test_a_probability_without_target_is_fixed() -> None:
    augmenter = Augmenter(Augmentation(probability=0.3))
    for step in range(8):
        augmenter.observe(torch.tensor(1.0), step, batch=64)
    assert augmenter.probability.item() == pytest.approx(0.3)
