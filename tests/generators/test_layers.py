import math
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from threading import Event
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from arena.generators.layers import (
    LRELU_GAIN,
    EqualisedConv,
    EqualisedLinear,
    ModulatedConv,
    ToImage,
    image_gradients,
    lrelu,
    store_channels_last,
)


def test_kernels_are_stored_channels_last_and_other_weights_stay() -> None:
    """A modulated kernel of one batch has five dimensions in some networks."""
    network = torch.nn.Module()
    network.kernel = torch.nn.Parameter(torch.randn(4, 3, 3, 3))
    network.modulated = torch.nn.Parameter(torch.randn(1, 4, 3, 3, 3))
    network.bias = torch.nn.Parameter(torch.randn(4))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    store_channels_last(network)
    assert network.kernel.is_contiguous(memory_format=torch.channels_last)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


# Equalised layers.


@given(inputs=st.integers(2, 64), multiplier=st.sampled_from([1.0, 0.1, 0.01]))
@settings(max_examples=20, deadline=None)
def test_an_adam_step_moves_the_output_equally_for_any_fan_in(inputs: int, multiplier: float) -> None:
    # Adam's first step moves every weight by the learning rate, along the sign of its gradient: on inputs of 1 the
    # output moves by lr * scale * inputs = lr * multiplier * sqrt(inputs), and by lr * multiplier of the bias.
    layer = EqualisedLinear(inputs, 1, multiplier=multiplier)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3)
    ones = torch.ones(1, inputs)
    before = layer(ones)
    before.sum().backward()
    optimizer.step()
    moved = (before - layer(ones)).item()
    assert moved == pytest.approx(1e-3 * multiplier * (math.sqrt(inputs) + 1), rel=1e-2)


@pytest.mark.parametrize("multiplier", [1.0, 0.01])
def test_linear_keeps_the_second_moment_through_its_activation(multiplier: float) -> None:
    torch.manual_seed(0)
    layer = EqualisedLinear(256, 4096, gain=LRELU_GAIN, multiplier=multiplier)
    out = lrelu(layer(torch.randn(64, 256)))
    assert out.square().mean().item() == pytest.approx(1.0, rel=0.05)


def test_an_equalised_convolution_scales_its_weights_by_the_fan_in() -> None:
    torch.manual_seed(0)
    layer = EqualisedConv(5, 7, 3, gain=1.5)
    x = torch.randn(2, 5, 6, 6)
    expected = F.conv2d(x, layer.weight * 1.5 / math.sqrt(45), layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected)


# Modulated convolutions.


def own_kernels(x: Tensor, style: Tensor, weight: Tensor, demodulate: bool) -> Tensor:
    """The definition (StyleGAN2, equations 1 and 3): every image's own kernel, in one grouped convolution."""
    b, (o, i, k, _) = len(x), weight.shape
    kernels = weight[None] * style[:, None, :, None, None]
    if demodulate:
        kernels = kernels / kernels.square().sum((2, 3, 4), keepdim=True).sqrt()
    y = F.conv2d(x.reshape(1, b * i, *x.shape[2:]), kernels.reshape(b * o, i, k, k), padding=k // 2, groups=b)
    return y.reshape(b, o, *x.shape[2:])


@pytest.mark.parametrize("kernel", [1, 3])
def test_scaling_activations_equals_modulating_and_demodulating_the_kernel_of_each_image(kernel: int) -> None:
    torch.manual_seed(1)
    conv = ModulatedConv(5, 7, kernel)
    x, style = torch.randn(4, 5, 6, 6, requires_grad=True), torch.randn(4, 5, requires_grad=True)
    expected = LRELU_GAIN * own_kernels(x, style, conv.weight, demodulate=True)
    got = conv(x, style)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)
    cotangent, inputs = torch.randn_like(got), (x, style, conv.weight)
    gradients = torch.autograd.grad(got, inputs, cotangent, retain_graph=True)
    for a, b in zip(gradients, torch.autograd.grad(expected, inputs, cotangent), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)


def test_to_image_is_modulated_and_not_demodulated() -> None:
    torch.manual_seed(2)
    layer = ToImage(9, 3)
    x, style = torch.randn(4, 9, 6, 6), torch.randn(4, 9)
    torch.testing.assert_close(layer(x, style), own_kernels(x, style, layer.weight, demodulate=False) / 3)


# Layers for gradient penalties.


def tensors(kernel: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    shapes = (2, 4, 5, 6), (8, 4 // groups, kernel, kernel), (8,)
    x, weight, bias = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    return x, weight, bias


def penalty(y: Tensor, x: Tensor) -> Tensor:
    """Return a gradient penalty: of the gradient with respect to x, through a nonlinearity."""
    (gradient,) = torch.autograd.grad(y.sigmoid().sum(), x, create_graph=True)
    return gradient.square().sum()


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "groups"), [(3, 1, 1, 1), (1, 1, 0, 1), (4, 2, 1, 1), (3, 1, 1, 2), (4, 1, 0, 4)]
)
def test_values_and_both_gradients_are_those_of_torch(kernel: int, stride: int, padding: int, groups: int) -> None:
    x, weight, bias = tensors(kernel, groups)
    theirs = F.conv2d(x, weight, bias, stride, padding, groups=groups)
    expected = torch.autograd.grad(penalty(theirs, x) + theirs.square().sum(), (x, weight, bias))
    with image_gradients():
        ours = F.conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)
        penalised = penalty(ours, x)
    torch.testing.assert_close(ours, theirs)
    gradients = torch.autograd.grad(penalised + ours.square().sum(), (x, weight, bias))
    for a, b in zip(gradients, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_first_gradients_reach_weights_outside_the_context_alone() -> None:
    x, weight, _ = tensors(3, 1)
    with image_gradients():
        y = F.conv2d(x, weight, padding=1)
        of_x, of_weight = torch.autograd.grad(y.sum(), (x, weight), retain_graph=True, allow_unused=True)
    assert of_x.any()
    assert of_weight is None
    with pytest.raises(KeyError), image_gradients():  # the context ends with an error too
        raise KeyError
    assert torch.autograd.grad(y.sum(), weight)[0].any()


def test_an_open_context_of_another_thread_changes_no_gradient() -> None:
    x, weight, _ = tensors(3, 1)
    with image_gradients():
        y = F.conv2d(x, weight, padding=1)
    opened, compared = Event(), Event()

    def elsewhere() -> None:
        with image_gradients():
            opened.set()
            assert compared.wait(60)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(elsewhere)
        assert opened.wait(60)
        (of_weight,) = torch.autograd.grad(y.sum(), weight, allow_unused=True)
        compared.set()
        other.result()
    assert of_weight is not None
    assert of_weight.any()


def test_autocast_sets_the_dtype() -> None:
    x, weight, bias = (value.float().detach().requires_grad_() for value in tensors(3, 1))
    with torch.autocast("cpu", torch.bfloat16):
        theirs = F.conv2d(x, weight, bias, padding=1)
        with image_gradients():
            ours = F.conv2d(x, weight, bias, padding=1)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("settings", [{"dilation": 2}, {"padding": "same"}, {"stride": (2, 1), "padding": (0, 1)}])
def test_settings_that_no_layer_here_has_are_torchs_too(settings: dict[str, Any]) -> None:
    x, weight, _ = tensors(3, 1)
    expected = F.conv2d(x, weight, **settings)
    with image_gradients():
        torch.testing.assert_close(F.conv2d(x, weight, **settings), expected)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_penalties_through_batch_normalisation_are_those_of_torch(training: bool, affine: bool) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(3, affine=affine, dtype=torch.float64)
    norm.running_mean, norm.running_var = torch.randn(3, dtype=torch.float64), 1 + torch.rand(3, dtype=torch.float64)
    network, x = nn.Sequential(nn.Conv2d(2, 3, 3, dtype=torch.float64), norm).train(training), torch.rand(4, 2, 5, 5)

    def penalised(context: AbstractContextManager[object]) -> list[Tensor]:
        images = x.double().requires_grad_()
        with context:
            found = penalty(network(images), images)
        return [
            found,
            *torch.autograd.grad(found, list(network.parameters()), allow_unused=True, materialize_grads=True),
        ]

    for ours, theirs in zip(penalised(image_gradients()), penalised(nullcontext()), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_batch_normalisation_under_autocast_is_as_exact_as_torchs() -> None:
    torch.manual_seed(0)
    norm, x = nn.BatchNorm2d(3).eval(), (3 + torch.randn(8, 3, 16, 16)).bfloat16()
    norm.running_mean, norm.running_var = torch.full((3,), 3.0), torch.full((3,), 0.1)
    exact = norm(x.float())
    with image_gradients():
        ours = norm(x)
    assert ours.dtype == torch.bfloat16
    assert float((ours.float() - exact).detach().mean().abs()) < 1e-3
    torch.testing.assert_close(ours, exact.bfloat16())
