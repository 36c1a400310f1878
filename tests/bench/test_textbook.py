import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from arena.bench.textbook import TAPS, TextbookGenerator, bias_act, modulated_conv2d, upfirdn2d
from arena.generators.layers import LRELU_GAIN, ModulatedConv, ToImage
from arena.generators.style import StyleGenerator

RNG = torch.Generator().manual_seed(0)


def randn(*shape):
    return torch.randn(*shape, generator=RNG)


def textbook(resolution=32, width=16):
    return TextbookGenerator(
        resolution=resolution, channels=3, levels=256, width=width, z_dim=8, mapping_depth=2, mixing=0.5
    )


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_each_image_is_convolved_by_a_kernel_of_its_own_as_ours_is():
    x, style = randn(3, 5, 8, 8), randn(3, 5)
    ours = ModulatedConv(5, 7)
    # The gain of the leaky ReLU that follows is in our layer's kernel, and in the textbook's activation.
    torch.testing.assert_close(
        modulated_conv2d(x, ours.weight, style) * LRELU_GAIN, ours(x, style), atol=1e-5, rtol=1e-4
    )


def test_without_demodulation_as_ours_to_the_image():
    x, style = randn(3, 5, 8, 8), randn(3, 5)
    ours = ToImage(5, 3)
    found = modulated_conv2d(x, ours.weight, style * ours.scale, demodulate=False)
    torch.testing.assert_close(found, ours(x, style), atol=1e-5, rtol=1e-4)


def test_upsampling_is_a_transposed_convolution_of_each_image_and_the_filter():
    x, style, weight = randn(2, 3, 4, 4), randn(2, 3), randn(5, 3, 3, 3)
    found = modulated_conv2d(x, weight, style, up=True)
    assert found.shape == (2, 5, 8, 8)
    for k in range(2):
        kernel = weight * style[k][None, :, None, None]
        kernel = kernel / kernel.square().sum((1, 2, 3), keepdim=True).add(1e-8).sqrt()
        large = F.conv_transpose2d(x[k : k + 1], kernel.transpose(0, 1), stride=2)
        torch.testing.assert_close(found[k : k + 1], upfirdn2d(large, pad=(1, 1), gain=4), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_upfirdn_is_scipys_along_both_axes(up, down):
    x = randn(1, 2, 6, 6)
    taps = np.array(TAPS) / sum(TAPS)
    expected = x.double().numpy()
    for axis in (2, 3):
        expected = scipy.signal.upfirdn(taps, expected, up, down, axis=axis)
    found = upfirdn2d(x, up=up, down=down, pad=(3, 3)).numpy()
    side = expected.shape[2]  # after it only what lies beyond the last pixel's zeros
    np.testing.assert_allclose(found[:, :, :side, :side], expected, atol=1e-6)


def test_an_impulse_gives_the_filter_and_a_constant_stays_one():
    impulse = torch.zeros(1, 1, 7, 7)
    impulse[0, 0, 3, 3] = 1
    taps = torch.tensor(TAPS) / sum(TAPS)
    torch.testing.assert_close(upfirdn2d(impulse, pad=(0, 0))[0, 0], torch.outer(taps, taps))
    ones = torch.ones(1, 3, 8, 8)
    inside = slice(2, -2)
    for result in (upfirdn2d(ones, up=2, pad=(2, 1), gain=4), upfirdn2d(ones, pad=(2, 2))):
        torch.testing.assert_close(result[:, :, inside, inside], torch.ones_like(result[:, :, inside, inside]))
    assert upfirdn2d(ones, up=2, pad=(2, 1)).shape == (1, 3, 16, 16)
    assert upfirdn2d(ones, down=2, pad=(1, 1)).shape == (1, 3, 4, 4)


def test_activation_is_a_leaky_relu_of_gain_root_two():
    found = bias_act(torch.tensor([[1.0, -1.0]]), torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(found, torch.tensor([[2.0, -0.2]]) * 2**0.5)


@pytest.mark.parametrize(("resolution", "width"), [(8, 16), (32, 16), (64, 24)])
def test_it_has_as_many_parameters_as_ours(resolution, width):
    ours = StyleGenerator(resolution=resolution, channels=3, levels=256, width=width, z_dim=8, minibatch_group=4)
    theirs = textbook(resolution, width)
    assert count(theirs) == pytest.approx(count(ours), rel=0.01)
    assert count(theirs.discriminator(resolution)) == pytest.approx(count(ours.discriminator(resolution)), rel=0.01)


def test_it_draws_what_a_discriminator_sees_and_follows_w():
    generator = textbook(resolution=16)
    images = generator.draw(randn(4, 8), RNG)
    logits = generator.discriminator(16)(images)
    assert images.shape == (4, 3, 16, 16)
    assert logits.shape == (4,)
    assert generator.w_average.abs().max() > 0
    # The noise inputs have no strength yet: without them the image is the same.
    z = randn(2, 8)
    torch.testing.assert_close(generator(z), generator(z, RNG))


def test_every_parameter_learns():
    generator = textbook(resolution=8)
    discriminator = generator.discriminator(8)
    discriminator(generator.draw(randn(8, 8), RNG)).square().sum().backward()
    for network in (generator, discriminator):
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
