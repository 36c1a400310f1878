import pytest
import torch
from torch import Tensor
from torch.autograd.functional import jacobian

from arena.generators.style import StyleGenerator
from arena.training.losses import DECAY, PathLength, path_lengths


def small() -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(resolution=8, channels=1, levels=17, width=8, z_dim=5)


def test_lengths_are_those_of_the_whole_jacobian() -> None:
    generator, rng = small(), torch.Generator().manual_seed(3)
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


def test_a_linear_image_has_the_length_of_its_map() -> None:
    # Images are code[0] times a: J^T y = <a, y>, of length |a| |cos| on average over y.
    a = torch.randn(1, 1, 8, 8)
    code = torch.randn(2000, 1, 1, requires_grad=True)
    lengths = path_lengths(code, code[:, :, :, None] * a, torch.Generator().manual_seed(0))
    assert lengths.square().mean().item() == pytest.approx(a.square().sum().item() / 64, rel=0.1)


def test_the_penalty_is_of_the_distance_to_the_running_mean_and_reaches_the_weights() -> None:
    generator, z = small(), torch.randn(8, 5)
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
