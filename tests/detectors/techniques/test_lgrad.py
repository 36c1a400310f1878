import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from arena.detectors.techniques.lgrad import LGrad, input_gradient
from arena.generators.base import TrainableGenerator
from arena.generators.dcgan import DcganGenerator
from arena.generators.gan2014 import Gan2014Generator
from arena.generators.r3gan import R3ganGenerator
from arena.generators.style import MinibatchDeviation, StyleGenerator
from tests.detectors.planted import build_a, noise

SHARP = 5.0


def images(n: int = 4, side: int = 8) -> Tensor:
    return noise(n, 1, side, side)


def gan(kind: type[TrainableGenerator], side: int = 8, **settings: Any) -> tuple[TrainableGenerator, nn.Module]:
    torch.manual_seed(1)
    generator = kind(resolution=8, channels=1, levels=17, **settings)
    discriminator = generator.discriminator(side)
    for parameter in discriminator.parameters():  # some begin at zero
        nn.init.normal_(parameter, std=0.2)
    return generator, discriminator


def attached(kind: type[TrainableGenerator] = StyleGenerator, side: int = 8, **settings: Any) -> LGrad:
    detector = build_a(LGrad, "lgrad", side)
    detector.attach_gan(*gan(kind, side, **settings))
    return detector.eval()


KINDS = (StyleGenerator, DcganGenerator, Gan2014Generator, R3ganGenerator)


class Bilinear(nn.Module):
    """Logits of which the gradient is known."""

    def forward(self, x: Tensor) -> Tensor:
        """The sum of neighbours' products."""
        return (x[..., 1:] * x[..., :-1]).sum((1, 2, 3))


def test_the_gradient_is_that_of_each_images_own_logit():
    x = images()
    expected = F.pad(x, (0, 1))[..., 1:] + F.pad(x, (1, 0))[..., :-1]
    torch.testing.assert_close(input_gradient(Bilinear(), x, SHARP), expected)


def test_the_gradient_image_is_stretched_to_its_own_range():
    detector = attached()
    detector.discriminator.network = Bilinear()
    x = images()
    gradient = input_gradient(Bilinear(), x, SHARP).numpy()
    least, largest = gradient.min((1, 2, 3), keepdims=True), gradient.max((1, 2, 3), keepdims=True)
    expected = torch.from_numpy(2 * (gradient - least) / (largest - least) - 1)
    torch.testing.assert_close(detector.gradients(x), expected)


@pytest.mark.parametrize("slope", [0.2, None])
def test_sharp_rounded_rectifiers_are_the_discriminators_own(slope):
    """Far sharper than it is used, the gradient is autograd's."""

    class Rectified(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Conv2d(1, 6, 3), nn.Conv2d(6, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.first(x)
            return self.last(F.relu(y) if slope is None else F.leaky_relu(y, slope)).sum((1, 2, 3))

    torch.manual_seed(0)
    discriminator, x = Rectified(), images().requires_grad_()
    (expected,) = torch.autograd.grad(discriminator(x).sum(), x)
    computed = input_gradient(discriminator, x.detach(), 1e5)
    assert ((computed - expected).abs() < 1e-4).float().mean() > 0.98  # a rectifier in a hundred stands at its corner


def test_modes_of_the_caller_change_nothing():
    detector, x = attached(), images()
    expected = detector.gradients(x)
    with torch.no_grad():
        torch.testing.assert_close(detector.gradients(x), expected)
    with torch.inference_mode():
        torch.testing.assert_close(detector.gradients(x.clone()), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(detector.gradients(x), expected)
    assert not x.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_image_has_a_gradient_itself(kind):
    """Against differences, without the network, whose own gradient is tested everywhere."""
    detector, x = attached(kind), images(2).requires_grad_()
    towards = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    (computed,) = torch.autograd.grad((detector.gradients(x) * towards).sum(), x)
    step = 1e-2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        above, below = ((detector.gradients(x + s * step) * towards).sum((1, 2, 3)) for s in (0.1, -0.1))
    assert computed.abs().amax((1, 2, 3)).gt(0).all()
    torch.testing.assert_close((computed * step).sum((1, 2, 3)), (above - below) / 0.2, rtol=0.1, atol=2e-3)


def test_learning_differentiates_nothing_twice():
    detector = attached().train()
    detector.loss(images(), torch.tensor([0.0, 1, 0, 1])).backward()
    assert all(parameter.grad is not None for parameter in detector.network.parameters())
    assert all(parameter.grad is None for parameter in detector.discriminator.parameters())


def test_a_minibatch_deviation_sees_no_other_image():
    detector = attached(StyleGenerator, minibatch_group=4)
    assert any(isinstance(part, MinibatchDeviation) for part in detector.discriminator.modules())
    together = detector(images())
    torch.testing.assert_close(torch.cat([detector(x) for x in images().split(1)]), together, atol=1e-5, rtol=1e-5)


def test_batch_normalisation_keeps_its_own_statistics():
    detector = attached(DcganGenerator, batch_norm=True).train()
    before = copy.deepcopy(detector.discriminator.state_dict())
    detector.loss(images(), torch.tensor([0.0, 1, 0, 1]))
    assert not any(part.training for part in detector.discriminator.modules())
    assert all(torch.equal(value, before[name]) for name, value in detector.discriminator.state_dict().items())


def test_evidence_of_another_size_than_the_generators():
    assert attached(side=16)(images(side=16)).shape == (4,)


def test_of_a_large_image_it_sees_crops_of_the_gradient():
    detector = attached(side=32)
    detector.crop = 16
    x, gradients = images(2, 32), []
    detector.network.register_forward_pre_hook(lambda network, inputs: gradients.append(inputs[0]))
    detector(x)
    assert [gradient.shape for gradient in gradients] == [(2, 1, 16, 16)] * 4
    torch.testing.assert_close(gradients[0], detector.gradients(x)[..., 4:20, 4:20])
