"""The last layer of the generators: exact black and white, and the gradient outside them."""

from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from arena.generators.dcgan import DcganGenerator
from arena.generators.gan2014 import Gan2014Generator
from arena.generators.output import SCALE, Output, OutputLayer
from arena.generators.r3gan import R3ganGenerator
from arena.generators.style import StyleGenerator
from arena.imaging.evidence import Evidence

KINDS: tuple[Output, ...] = get_args(Output)
EVERY = pytest.mark.parametrize("network", [Gan2014Generator, DcganGenerator, StyleGenerator, R3ganGenerator])
EDGE = 1.33129  # atanh(1 / 1.15), where the scaled tanh reaches white


def slope(kind: Output, at: float) -> float:
    x = torch.tensor(float(at), requires_grad=True)
    (gradient,) = torch.autograd.grad(OutputLayer(kind)(x), x)
    return gradient.item()


def test_exact_black_and_white_are_reached_and_never_passed() -> None:
    made = OutputLayer("scaled_tanh")(torch.linspace(-3, 3, 25))
    assert (made.min(), made.max()) == (-1, 1)
    assert ((made == 1).sum(), (made == -1).sum()) == (7, 7)  # of 1.5 to 3 in steps of a quarter
    below, above = OutputLayer("scaled_tanh")(torch.tensor([EDGE - 1e-3, EDGE + 1e-3]))
    assert below < 1 == above


def test_tanh_is_that_of_torch_and_reaches_neither() -> None:
    x = torch.linspace(-3, 3, 25)
    assert torch.equal(OutputLayer("tanh")(x), x.tanh())
    assert OutputLayer("tanh")(x).abs().max() < 1


def test_inside_the_layer_is_its_formula_and_the_gradient_its_derivative() -> None:
    x = torch.linspace(-1.3, 1.3, 9, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(OutputLayer("scaled_tanh")(x), SCALE * x.tanh())
    for kind in KINDS:
        assert torch.autograd.gradcheck(OutputLayer(kind), (x,))
        assert torch.autograd.gradgradcheck(OutputLayer(kind), (x,))  # penalties on paths differentiate twice


def test_the_gradient_does_not_end_at_black_and_white() -> None:
    for sign in (-1, 1):
        assert slope("scaled_tanh", sign * EDGE) == pytest.approx(SCALE * (1 - 1 / SCALE**2), abs=1e-3)
        for stray in (1.5, 2.0, 3.0):
            expected = SCALE / torch.tensor(stray).cosh().square().item()
            assert slope("scaled_tanh", sign * stray) == pytest.approx(expected, rel=1e-4)


def descend(start: float, layer: nn.Module, steps: int = 400) -> tuple[Tensor, Tensor]:
    """Fit pixels that start alike to each of 17 levels, as the evidence path shows them. Returns target and images."""
    target, evidence = torch.linspace(-1, 1, 17).reshape(1, 1, 1, 17), Evidence(levels=17)
    x = torch.full(target.shape, start, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        (evidence(layer(x)) - target).square().sum().backward()
        optimizer.step()
    return target, evidence(layer(x)).detach()


@pytest.mark.parametrize("start", [-2.5, 0.0, 2.5])
def test_strayed_pixels_reach_every_level_through_the_evidence_path(start: float) -> None:
    target, made = descend(start, OutputLayer("scaled_tanh"))
    torch.testing.assert_close(made, target, atol=0.13, rtol=0)  # a level, by which rounding lets the last step swing
    assert (made == -1).any()
    assert (made == 1).any()


def test_under_plain_clipping_strayed_pixels_would_stay() -> None:
    _, made = descend(2.5, nn.Hardtanh())
    assert (made == 1).all()


def test_no_pixel_drifts_far_beyond_white() -> None:
    """A loss that always asks for more, as a discriminator may, moves the pixel by 0.15 of tanh's range at most."""
    x = torch.tensor([1.0], requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        (-OutputLayer("scaled_tanh")(x)).sum().backward()
        optimizer.step()
    assert x.item() < 3
    assert slope("scaled_tanh", x.item()) > 0.01  # the way back is open


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_dtype_is_kept(dtype: torch.dtype) -> None:
    for kind in KINDS:
        assert OutputLayer(kind)(torch.zeros(2, 1, 8, 8, dtype=dtype)).dtype == dtype


@EVERY
def test_every_network_ends_in_the_layer_and_former_weights_fit(network: type) -> None:
    def build(output: Output) -> nn.Module:
        torch.manual_seed(0)
        return network(resolution=8, channels=1, levels=17, width=16, z_dim=6, output=output).eval()

    former, scaled = build("tanh"), build("scaled_tanh")
    with torch.no_grad():
        for parameter in former.parameters():
            parameter.mul_(2)  # initial images of some networks are nearly grey
    scaled.load_state_dict(former.state_dict())  # the layer has no weights
    z = torch.randn(64, 6)
    expected = (SCALE * former(z)).clamp(-1, 1)
    torch.testing.assert_close(scaled(z), expected, atol=1e-6, rtol=1e-5)
