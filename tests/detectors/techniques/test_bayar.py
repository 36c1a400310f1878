import numpy as np
import pytest
import torch
from scipy.ndimage import correlate

from arena.core.errors import ArenaError
from arena.detectors.techniques.bayar import Bayar, ConstrainedConvolution
from arena.imaging.images import to_float
from tests.detectors.planted import build_a, digits


def constrained(inputs=3, filters=4, size=5):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return ConstrainedConvolution(inputs, filters, size)


def assert_constrained(kernels):
    centre = kernels.shape[-1] // 2
    torch.testing.assert_close(kernels[..., centre, centre], -torch.ones(kernels.shape[:2]))
    torch.testing.assert_close(kernels.sum((2, 3)), torch.zeros(kernels.shape[:2]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [3, 5, 7])
def test_every_kernel_is_minus_1_in_the_centre_and_its_other_weights_sum_to_1(size):
    layer = constrained(size=size)
    assert_constrained(layer.kernels())
    with torch.no_grad():
        layer.weight.copy_(layer.weight - layer.weight.mean((2, 3), keepdim=True))  # where a division has no bound
    assert_constrained(layer.kernels())


def test_a_constrained_kernel_stays_and_any_other_goes_to_the_nearest_constrained_one():
    layer = constrained()
    before = layer.weight.detach().clone()
    kernels = layer.kernels().detach()
    with torch.no_grad():
        layer.weight.copy_(kernels)
    torch.testing.assert_close(layer.kernels(), kernels)
    # The way to the nearest point of a plane is normal to it: the same for every weight but the centre.
    way = (kernels - before).flatten(2)[..., [k for k in range(25) if k != 12]]
    torch.testing.assert_close(way, way[..., :1].expand_as(way), rtol=0, atol=1e-5)


def test_the_errors_are_scipys_correlation():
    images, layer = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(0)), constrained()
    kernels = layer.kernels().detach().numpy()
    expected = [
        [sum(correlate(image[c].numpy(), kernel[c])[2:-2, 2:-2] for c in range(3)) for kernel in kernels]
        for image in images
    ]
    np.testing.assert_allclose(layer(images).detach(), np.array(expected), atol=1e-4)


@pytest.mark.parametrize("technique", ["bayar"])
def test_the_constraint_holds_after_training_and_the_kernels_have_learned(technique, trained):
    (detector, _), untrained = trained, build_a(Bayar, "bayar")
    kernels = detector.constrained.kernels().detach()
    assert_constrained(kernels)
    assert (kernels - untrained.constrained.kernels()).abs().max() > 1e-3


def test_preparing_leaves_the_kernels_alone():
    detector, (learned, _, _) = build_a(Bayar, "bayar"), digits("bayar")
    before = detector.constrained.weight.clone()
    detector.prepare(to_float(learned.images))
    assert torch.equal(detector.constrained.weight, before)


@pytest.mark.parametrize("size", [4, 1, 7])
def test_an_even_size_or_one_beyond_the_image_is_refused(size):
    with pytest.raises(ArenaError, match=rf"^size={size}"):
        Bayar(resolution=8, channels=1, levels=17, filters=3, size=size, network=lambda **_: torch.nn.Identity())
