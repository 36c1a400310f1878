import math

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from arena.generators.layers import lrelu
from arena.generators.style import ResidualDiscriminator, StyleGenerator
from arena.training.losses import (
    DECAY,
    GanLoss,
    Logistic,
    NonSaturating,
    PathLength,
    Relativistic,
    path_lengths,
    squared_gradient,
)

WEIGHT = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()


def linear(images: Tensor) -> Tensor:
    """D(x) = <a, x>: its gradient is a, everywhere."""
    return (images * WEIGHT).sum((1, 2, 3))


def mean(images: Tensor) -> Tensor:
    return images.mean((1, 2, 3))


def images_of(*logits: float) -> Tensor:
    return torch.tensor(logits)[:, None, None, None].expand(-1, 1, 8, 8).clone()


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_relativistic_losses_pair_each_real_with_one_fake() -> None:
    reals, fakes = images_of(1.0, -2.0), images_of(0.5, 3.0)
    loss = Relativistic(gamma=0)
    losses = loss.of_discriminator(mean, reals, fakes, 0)
    # Pairs (1, 0.5) and (-2, 3): softplus of fake - real, and of real - fake.
    assert losses.adversarial.item() == pytest.approx((softplus(-0.5) + softplus(5.0)) / 2, rel=1e-5)
    assert loss.of_generator(mean, reals, fakes).item() == pytest.approx((softplus(0.5) + softplus(-5)) / 2, rel=1e-5)
    assert (losses.penalty.item(), losses.real_logit.item(), losses.fake_logit.item()) == (0.0, -0.5, 1.75)


@pytest.mark.parametrize("loss", [Logistic(gamma=0), NonSaturating()])
def test_logistic_losses_do_not_saturate(loss: GanLoss) -> None:
    reals, fakes = images_of(1.0, -2.0), images_of(0.5, 3.0)
    expected = (softplus(-1.0) + softplus(2.0) + softplus(0.5) + softplus(3.0)) / 2
    for step in (0, 1):
        losses = loss.of_discriminator(mean, reals, fakes, step)
        assert losses.adversarial.item() == pytest.approx(expected, rel=1e-5)
        assert losses.penalty.item() == 0
    assert loss.of_generator(mean, reals, fakes).item() == pytest.approx((softplus(-0.5) + softplus(-3.0)) / 2)


def test_the_nonsaturating_loss_has_separate_batches() -> None:
    batches: list[Tensor] = []

    def critic(images: Tensor) -> Tensor:
        batches.append(images)
        return mean(images)

    reals, fakes = torch.randn(2, 4, 1, 8, 8)
    NonSaturating().of_discriminator(critic, reals, fakes, 0)
    assert [torch.equal(seen, given) for seen, given in zip(batches, (reals, fakes), strict=True)] == [True, True]


@pytest.mark.parametrize("batch", [2, 5])
def test_the_penalties_of_a_linear_discriminator_are_its_weights(batch: int) -> None:
    reals, fakes = torch.randn(2, batch, 1, 8, 8)
    norm = WEIGHT.square().sum().item()
    both = Relativistic(gamma=3.0).of_discriminator(linear, reals, fakes, 7).penalty
    assert both.item() == pytest.approx(3.0 / 2 * 2 * norm, rel=1e-5)  # R1 and R2
    lazy = Logistic(gamma=3.0, interval=4)
    penalties = [lazy.of_discriminator(linear, reals, fakes, step).penalty.item() for step in range(8)]
    assert penalties == [pytest.approx(4 * 3.0 / 2 * norm, rel=1e-5), 0, 0, 0] * 2
    # d/da of gamma/2 (R1 + R2) = 2 gamma a
    (gradient,) = torch.autograd.grad(both, WEIGHT)
    torch.testing.assert_close(gradient, 2 * 3.0 * WEIGHT.detach())


def discriminator() -> ResidualDiscriminator:
    torch.manual_seed(0)
    return ResidualDiscriminator(resolution=8, channels=1, width=8)


def test_the_squared_gradient_equals_finite_differences() -> None:
    network, images = discriminator().double(), torch.randn(2, 1, 8, 8, dtype=torch.double)

    def in_float64(images: Tensor) -> Tensor:
        """The discriminator with its head in float64, since fp32 is too coarse for differences."""
        x = lrelu(network.last(network.blocks(lrelu(network.from_image(images)))))
        return network.logit(lrelu(network.dense(x.flatten(1)))).squeeze(1)

    logits, squared = squared_gradient(in_float64, images)
    shift = 1e-5 * torch.eye(64, dtype=torch.double).reshape(64, 1, 8, 8)
    for image, logit, value in zip(images, logits, squared, strict=True):
        expected = ((in_float64(image + shift) - in_float64(image - shift)) / 2e-5).square().sum()
        torch.testing.assert_close(value, expected.to(value), rtol=1e-4, atol=1e-8)
        torch.testing.assert_close(logit, in_float64(image[None])[0])


def test_a_step_along_the_gradient_lowers_the_penalty() -> None:
    network, reals, fakes = discriminator(), torch.randn(8, 1, 8, 8), torch.randn(8, 1, 8, 8)
    loss = Relativistic(gamma=1.0)
    before = loss.of_discriminator(network, reals, fakes, 0).penalty
    before.backward()
    squared_norm = sum(p.grad.square().sum() for p in network.parameters() if p.grad is not None)
    rate = 1e-3 * before.detach() / squared_norm
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= rate * parameter.grad
    after = loss.of_discriminator(network, reals, fakes, 0).penalty
    # First order: rate * |gradient|^2 is a thousandth of the penalty.
    assert (before - after).item() == pytest.approx(1e-3 * before.item(), rel=0.05)


@pytest.mark.parametrize("loss", [Relativistic(gamma=1.0), Logistic(gamma=1.0, interval=1)])
def test_penalties_under_bf16_autocast_are_close_to_fp32(loss: GanLoss) -> None:
    network, reals, fakes = discriminator(), torch.randn(16, 1, 8, 8), torch.randn(16, 1, 8, 8)
    parameters = list(network.parameters())

    def penalty() -> tuple[Tensor, Tensor]:
        value = loss.of_discriminator(network, reals, fakes, 0).penalty
        gradients = torch.autograd.grad(value, parameters, allow_unused=True)
        return value, torch.cat([g.float().flatten() for g in gradients if g is not None])

    expected, direction = penalty()
    with torch.autocast("cpu", torch.bfloat16):
        got, turned = penalty()
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(expected.item(), rel=0.02)
    assert torch.cosine_similarity(turned, direction, dim=0) > 0.995


@pytest.mark.parametrize(
    ("loss", "expected"),
    # 0.5 (8/32)^2 on 2 images of R1 + R2;  2e-4 * 8^2 / 4 every 16th step
    [(Relativistic(), 0.5 / 16), (Logistic(interval=1), 2e-4 * 64 / 4 / 2)],
)
def test_the_default_gamma_follows_its_rule(loss: GanLoss, expected: float) -> None:
    images = torch.randn(4, 1, 8, 8)
    penalty = loss.of_discriminator(linear, images, images, 0).penalty.item()
    assert penalty == pytest.approx(expected * WEIGHT.square().sum().item(), rel=1e-5)


def test_the_generators_loss_has_a_gradient_to_the_fakes_alone() -> None:
    reals, fakes = torch.randn(2, 4, 1, 8, 8)
    for loss in (Relativistic(), Logistic()):
        a, b = reals.clone().requires_grad_(), fakes.clone().requires_grad_()
        loss.of_generator(discriminator(), a, b).backward()
        assert a.grad is None
        assert b.grad is not None
        assert b.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("loss", "expected"),
    # Signs of the reals' logits 1, 0.2, -2; from 0, or from the middle of all logits, 0.45.
    [(Logistic(), 1 / 3), (NonSaturating(), 1 / 3), (Relativistic(), -1 / 3)],
)
def test_overfitting_is_the_mean_sign_of_the_reals_logits(loss: GanLoss, expected: float) -> None:
    losses = loss.of_discriminator(mean, images_of(1.0, 0.2, -2.0), images_of(0.5, 1.5, 1.5), 1)
    assert losses.overfitting.item() == pytest.approx(expected)


# Path length.


def style() -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(resolution=8, channels=1, levels=17, width=8, z_dim=5)


def test_path_lengths_equal_those_of_the_whole_jacobian() -> None:
    generator, rng = style(), torch.Generator().manual_seed(3)
    code = torch.randn(2, generator.n_styles, 5, requires_grad=True)
    lengths = path_lengths(code, generator.images_of(code), rng)
    y = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(3)) / 8
    for k in range(2):

        def image(own: Tensor) -> Tensor:
            return generator.images_of(own[None])[0]

        whole = jacobian(image, code[k].detach())
        assert isinstance(whole, Tensor)
        product = torch.einsum("chw,chwld->ld", y[k], whole)
        assert lengths[k].item() == pytest.approx(product.square().sum(1).mean().sqrt().item(), rel=1e-4)


def test_the_path_length_of_a_linear_image_is_the_norm_of_its_map() -> None:
    # Images are code[0] times a: J^T y = <a, y>, of length |a| |cos| on average over y.
    a = torch.randn(1, 1, 8, 8)
    code = torch.randn(2000, 1, 1, requires_grad=True)
    lengths = path_lengths(code, code[:, :, :, None] * a, torch.Generator().manual_seed(0))
    assert lengths.square().mean().item() == pytest.approx(a.square().sum().item() / 64, rel=0.1)


def test_the_path_penalty_is_the_distance_to_the_running_mean_and_reaches_the_weights() -> None:
    generator, z = style(), torch.randn(8, 5)
    penalty = PathLength(weight=2.0, interval=4)
    rng = torch.Generator().manual_seed(0)
    value = penalty(generator, z, rng)
    w = generator.mapping(z[:4])
    again = torch.Generator().manual_seed(0)
    code = w[:, None].expand(-1, generator.n_styles, -1)
    lengths = path_lengths(code, generator.images_of(code, again), again)
    mean = DECAY * lengths.mean()
    assert penalty.mean.item() == pytest.approx(mean.item(), rel=1e-5)
    assert value.item() == pytest.approx(4 * 2.0 * (lengths - mean).square().mean().item(), rel=1e-4)
    value.backward()
    assert generator.constant.grad is not None
    assert generator.constant.grad.any()
    assert generator.styles.weight.grad is not None
    assert generator.styles.weight.grad.any()
