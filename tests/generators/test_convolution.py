import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from arena.generators.layers import Convolution, conv2d, towards_images

CASES = [  # kernel, stride, padding, groups
    (3, 1, 1, 1),
    (1, 1, 0, 1),
    (4, 2, 1, 1),
    (3, 1, 1, 2),
    (4, 1, 0, 4),
]


def tensors(kernel: int, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    shapes = (2, 4, 5, 6), (8, 4 // groups, kernel, kernel), (8,)
    x, weight, bias = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)
    return x, weight, bias


def penalty(y: Tensor, x: Tensor, weight: Tensor) -> Tensor:
    """What a gradient penalty is: of the gradient with respect to x, through something that is not linear."""
    (gradient,) = torch.autograd.grad(y.sigmoid().sum(), x, create_graph=True)
    return gradient.square().sum()


@pytest.mark.parametrize(("kernel", "stride", "padding", "groups"), CASES)
def test_values_and_both_gradients_are_those_of_torch(kernel: int, stride: int, padding: int, groups: int) -> None:
    x, weight, bias = tensors(kernel, groups)
    theirs = F.conv2d(x, weight, bias, stride, padding, groups=groups)
    expected = torch.autograd.grad(penalty(theirs, x, weight) + theirs.square().sum(), (x, weight, bias))
    with towards_images():
        ours = conv2d(x, weight, bias, stride=stride, padding=padding, groups=groups)
        penalised = penalty(ours, x, weight)
    torch.testing.assert_close(ours, theirs)
    found = torch.autograd.grad(penalised + ours.square().sum(), (x, weight, bias))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_within_it_the_first_gradient_leaves_the_weights_out_and_afterwards_it_does_not() -> None:
    x, weight, _ = tensors(3, 1)
    with towards_images():
        y = conv2d(x, weight, padding=1)
        of_x, of_weight = torch.autograd.grad(y.sum(), (x, weight), retain_graph=True, allow_unused=True)
    assert of_x.any()
    assert of_weight is None
    assert torch.autograd.grad(y.sum(), weight)[0].any()


def test_it_ends_with_its_context_even_by_an_error() -> None:
    x, weight, _ = tensors(3, 1)
    with pytest.raises(KeyError), towards_images():
        raise KeyError
    (of_weight,) = torch.autograd.grad(conv2d(x, weight).sum(), weight)
    assert of_weight.any()


def test_under_autocast_it_computes_in_its_dtype() -> None:
    x, weight, bias = (value.float().detach().requires_grad_() for value in tensors(3, 1))
    with torch.autocast("cpu", torch.bfloat16):
        theirs = F.conv2d(x, weight, bias, padding=1)
        with towards_images():
            ours = conv2d(x, weight, bias, padding=1)
    assert ours.dtype == theirs.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)


def test_the_layer_is_torchs() -> None:
    torch.manual_seed(0)
    layer, x = Convolution(4, 8, 3, stride=2, padding=1, groups=2), torch.randn(2, 4, 6, 6)
    expected = F.conv2d(x, layer.weight, layer.bias, 2, 1, groups=2)
    torch.testing.assert_close(layer(x), expected)
    with towards_images():
        torch.testing.assert_close(layer(x), expected)
