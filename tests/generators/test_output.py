"""The last layer of the generators: exact black and white, and the gradient outside them."""

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from arena.generators.dcgan import DcganGenerator
from arena.generators.gan2014 import Gan2014Generator
from arena.generators.output import SCALE, Output, OutputLayer, clip_inward
from arena.generators.r3gan import R3ganGenerator
from arena.generators.style import StyleGenerator
from arena.imaging.evidence import Evidence

KINDS: tuple[Output, ...] = get_args(Output)
SATURATING = [kind for kind in KINDS if kind != "tanh"]
EVERY = pytest.mark.parametrize("network", [Gan2014Generator, DcganGenerator, StyleGenerator, R3ganGenerator])


def gradient(kind: Output, value: float, upstream: float) -> float:
    x = torch.tensor(value, requires_grad=True)
    OutputLayer(kind)(x).backward(torch.tensor(upstream))
    assert x.grad is not None
    return x.grad.item()


@pytest.mark.parametrize("kind", SATURATING)
def test_exact_black_and_white_are_reached(kind: Output) -> None:
    made = OutputLayer(kind)(torch.linspace(-3, 3, 25))
    assert (made.min(), made.max()) == (-1, 1)
    assert made.abs().max() <= 1


def test_tanh_reaches_neither_black_nor_white_and_is_that_of_torch() -> None:
    x = torch.linspace(-3, 3, 25)
    assert torch.equal(OutputLayer("tanh")(x), x.tanh())
    assert OutputLayer("tanh")(x).abs().max() < 1


def test_inside_clip_is_the_identity_and_scaled_tanh_its_formula() -> None:
    x = torch.linspace(-0.9, 0.9, 19)
    assert torch.equal(OutputLayer("clip")(x), x)
    torch.testing.assert_close(OutputLayer("scaled_tanh")(x), SCALE * x.tanh())


@pytest.mark.parametrize("kind", KINDS)
def test_inside_the_gradient_is_the_derivative(kind: Output) -> None:
    x = torch.linspace(-0.9, 0.9, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(OutputLayer(kind), (x,))
    assert torch.autograd.gradgradcheck(OutputLayer(kind), (x,))  # penalties on paths differentiate twice


@given(x=st.floats(-4, 4), upstream=st.floats(-2, 2))
@settings(max_examples=200, deadline=None)
def test_outside_a_gradient_passes_if_and_only_if_descent_leads_back(x: float, upstream: float) -> None:
    # A step of descent moves x by -upstream.
    leads_out = abs(x) > 1 and abs(x - 1e-3 * upstream) > abs(x)
    found = gradient("clip", x, upstream)
    assert found == (0 if leads_out else pytest.approx(upstream))


@pytest.mark.parametrize("kind", SATURATING)
def test_a_saturated_pixel_can_leave(kind: Output) -> None:
    for white in (1.5, -1.5):
        assert abs(gradient(kind, white, white)) > 0.1


def descend(x: Tensor, target: Tensor, layer: nn.Module, steps: int = 400) -> tuple[Tensor, float]:
    """Fit pixels to a target through the evidence path, which clips and rounds. Returns images and the largest x."""
    x = x.clone().requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.02)
    farthest = 0.0
    for _ in range(steps):
        optimizer.zero_grad()
        (Evidence(levels=17)(layer(x)) - target).square().sum().backward()
        optimizer.step()
        farthest = max(farthest, x.abs().max().item())
    return Evidence(levels=17)(layer(x)).detach(), farthest


def test_strayed_pixels_come_back_to_any_grey() -> None:
    target = torch.linspace(-1, 1, 17).expand(1, 1, 2, 17)
    strayed = torch.tensor([3.0, -3.0])[:, None].expand(1, 1, 2, 17)
    made, _ = descend(strayed, target, OutputLayer("clip"))
    torch.testing.assert_close(made, target, atol=0.13, rtol=0)  # a level
    plain, _ = descend(strayed, target, nn.Hardtanh())
    assert torch.equal(plain, strayed.sign())  # with a gradient of 0 they stay


def test_no_pixel_drifts_on_beyond_white() -> None:
    """A loss that always asks for more, as a discriminator may, moves it no farther than one step."""
    x = torch.tensor([0.95], requires_grad=True)
    optimizer = torch.optim.SGD([x], lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        (-clip_inward(x)).sum().backward()
        optimizer.step()
    assert 1 < x.item() < 1.11


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_dtype_is_kept(dtype: torch.dtype) -> None:
    for kind in KINDS:
        assert OutputLayer(kind)(torch.zeros(2, 1, 8, 8, dtype=dtype)).dtype == dtype


@EVERY
def test_every_network_ends_in_the_layer_and_its_weights_fit_all_outputs(network: type) -> None:
    def build(output: Output) -> nn.Module:
        torch.manual_seed(0)
        return network(resolution=8, channels=1, levels=17, width=16, z_dim=6, output=output)

    tanh, clip, scaled = (build(kind) for kind in ("tanh", "clip", "scaled_tanh"))
    for one in (clip, scaled):
        one.load_state_dict(tanh.state_dict())  # the layer has no weights
    with torch.no_grad():
        for parameter in clip.parameters():
            parameter.mul_(2)  # initial images of some networks are all grey
    for one in (tanh, scaled):
        one.load_state_dict(clip.state_dict())
    z = torch.randn(64, 6)
    images = {name: one.eval()(z) for name, one in (("tanh", tanh), ("clip", clip), ("scaled", scaled))}
    inside = images["clip"].abs() < 1
    torch.testing.assert_close(images["tanh"][inside], images["clip"][inside].tanh(), atol=1e-5, rtol=1e-4)
    expected = (SCALE * images["clip"][inside].tanh()).clamp(-1, 1)
    torch.testing.assert_close(images["scaled"][inside], expected, atol=1e-5, rtol=1e-4)
