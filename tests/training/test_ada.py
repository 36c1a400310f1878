import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from arena.generators.discriminator import ResidualDiscriminator
from arena.training.ada import _Chance, _colour, _geometry, _warp, augment


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


def test_the_share_of_images_touched_grows_with_the_probability() -> None:
    images = torch.randn(400, 1, 8, 8)
    shares = []
    for p in (0.01, 0.1, 0.8):
        touched = (augment(images, torch.tensor(p), rng()) - images).abs().amax((1, 2, 3)) > 1e-3
        shares.append(touched.float().mean().item())
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
def test_the_warp_is_exact_where_pixels_fall_on_pixels(where: Tensor, expected: Callable[[Tensor], Tensor]) -> None:
    torch.testing.assert_close(_warp(IMAGES, where), expected(IMAGES), rtol=1e-4, atol=1e-5)


def test_the_warps_gradient_is_that_of_torch_and_it_has_a_second() -> None:
    where = matrix(0.3, (0.1, -0.2))
    ours, theirs = IMAGES.clone().requires_grad_(), IMAGES.clone().requires_grad_()
    grid = F.affine_grid(where, list(IMAGES.shape), align_corners=False)
    reference = F.grid_sample(theirs, grid, "bilinear", "reflection", align_corners=False)
    torch.testing.assert_close(_warp(ours, where), reference)
    weight = torch.randn(reference.shape)
    (a,) = torch.autograd.grad((_warp(ours, where) * weight).square().sum(), ours)
    (b,) = torch.autograd.grad((reference * weight).square().sum(), theirs)
    torch.testing.assert_close(a, b)
    small = torch.randn(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: _double(x, where[:1]).square(), (small,))


def _double(images: Tensor, where: Tensor) -> Tensor:
    from arena.training.ada import _Warp

    grid = F.affine_grid(where.double(), list(images.shape), align_corners=False)
    return _Warp.apply(images, grid)  # type: ignore[no-any-return]


def test_a_gradient_penalty_reaches_through_the_augmentation() -> None:
    torch.manual_seed(0)
    discriminator = ResidualDiscriminator(resolution=8, channels=3, width=8)
    images = IMAGES.clone().requires_grad_()
    logits = discriminator(augment(images, torch.tensor(0.8), rng()))
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    gradient.square().sum().backward()
    weights = [value.grad for name, value in discriminator.named_parameters() if name.endswith("weight")]
    assert all(grad is not None and grad.isfinite().all() and grad.any() for grad in weights)


def test_turning_hue_and_stretching_saturation_leave_grey_alone() -> None:
    grey = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, 3, 2, 2)
    everything = _colour(grey, _Chance(5, torch.tensor(1.0), rng(3)))
    assert (everything[:, 0] - everything[:, 1]).abs().max() < 1e-5
    assert (everything[:, 0] - everything[:, 2]).abs().max() < 1e-5


def test_how_far_images_are_scaled_and_stretched() -> None:
    """Karras et al. 2020, ADA, appendix B: log2 of the scale has deviation 0.2, and of the stretch either way."""
    linear = _geometry(_Chance(20_000, torch.tensor(1.0), rng()), 32)[:, :, :2]
    assert (linear.det().abs().log2() / -2).std() == pytest.approx(0.2, rel=0.05)
    singular = torch.linalg.svdvals(linear)
    assert ((singular[:, 0] / singular[:, 1]).log2() / 2).square().mean().sqrt() == pytest.approx(0.2, rel=0.05)


def test_how_far_colours_are_turned_and_stretched() -> None:
    """The same: hue anywhere on the circle; log2 of contrast and of saturation have deviations 0.5 and 1."""
    colour = torch.tensor([0.5, -0.25, -0.25])[:, None, None].expand(20_000, 3, 1, 1)
    turned = _colour(colour, _Chance(20_000, torch.tensor(1.0), rng()))[..., 0, 0]
    chroma = turned - turned.mean(1, keepdim=True)
    length = chroma.norm(dim=1) / colour[0, :, 0, 0].norm()
    assert length.log2().std() == pytest.approx((0.5**2 + 1) ** 0.5, rel=0.05)
    angle = torch.atan2((chroma[:, 1] - chroma[:, 2]) / 2**0.5, chroma[:, 0] * 1.5**0.5)
    assert torch.histc(angle, 8, -math.pi, math.pi).min() > 20_000 / 8 * 0.9


def test_it_is_its_stream_and_nothing_else() -> None:
    p = torch.tensor(0.5)
    first = augment(IMAGES, p, rng(1))
    torch.manual_seed(5)
    assert torch.equal(first, augment(IMAGES, p, rng(1)))
    assert not torch.equal(first, augment(IMAGES, p, rng(2)))
