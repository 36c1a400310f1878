import pytest
import torch
from torch import Tensor, nn

from arena.core.errors import DoesNotApply
from arena.detectors.techniques.inversion import Encoder, Inversion
from arena.generators.base import TrainableGenerator
from arena.generators.dcgan import DcganGenerator
from arena.generators.gan2014 import Gan2014Generator
from arena.generators.module import module_generator
from arena.generators.r3gan import R3ganGenerator
from arena.generators.style import StyleGenerator
from arena.imaging.images import ImageShape
from tests.detectors.planted import noise
from tests.generators.foreign import Z_DIM

KINDS = (StyleGenerator, DcganGenerator, Gan2014Generator, R3ganGenerator)
LABELS = torch.tensor([0.0, 1, 0, 1])


def images(n: int = 4, side: int = 8) -> Tensor:
    return noise(n, 1, side, side)


def generator(kind: type[TrainableGenerator]) -> TrainableGenerator:
    torch.manual_seed(1)
    return kind(resolution=8, channels=1, levels=17)


def detached(side: int = 8, seed: int = 0) -> Inversion:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Inversion(resolution=side, channels=1, levels=17, width=8, hidden=16, made=16)


def attached(kind: type[TrainableGenerator] = StyleGenerator, side: int = 8, seed: int = 0) -> Inversion:
    detector = detached(side, seed)
    detector.attach_gan(generator(kind), nn.Identity())
    return detector


def drawn(detector: Inversion, seed: int) -> Tensor:
    detector.augmented(images(), torch.Generator().manual_seed(seed))
    return detector.z


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_reconstruct_the_generators_images(kind):
    detector = attached(kind)
    optimizer = torch.optim.Adam(detector.encoder.parameters(), lr=5e-3)
    fakes = detector.images_of(detector.codes_of(torch.randn(64, detector.z.shape[1])))

    def error() -> float:
        with torch.no_grad():
            return float((detector.reconstructed(fakes) - fakes).square().mean())

    before, rng = error(), torch.Generator().manual_seed(0)
    for _ in range(100):
        detector.augmented(images(), rng)
        optimizer.zero_grad()
        detector.loss(images(), LABELS).backward()
        optimizer.step()
    # relative to the variance of its images, the error of a constant reconstruction
    assert error() < min(0.8 * before, 0.8 * float(fakes.var(0).mean()))


def test_codes_are_w_of_a_style_generator_and_z_of_others():
    z = torch.randn(3, 64)
    style = attached()
    network = style.generator.network
    assert isinstance(network, StyleGenerator)
    torch.testing.assert_close(style.codes_of(z), network.mapping(z))
    torch.testing.assert_close(style.images_of(network.mapping(z)), network(z))
    assert attached(R3ganGenerator).codes_of(z) is z


def test_codes_are_measured_in_their_own_units():
    detector, z = attached(), torch.randn(4096, 64, generator=torch.Generator().manual_seed(3))
    codes = (detector.codes_of(z) - detector.centre) / detector.spread
    assert codes.mean(0).abs().max() < 0.2
    assert (codes.std(0) - 1).abs().max() < 0.2


def test_the_fakes_it_learns_from_are_drawn_from_the_steps_stream():
    detector = attached()
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first, other, again = drawn(detector, 1), drawn(detector, 2), drawn(detector, 1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(detector.augmented(images(), torch.Generator()), images())
    detector.loss(images(), LABELS)
    assert torch.equal(torch.get_rng_state(), state)


def test_its_encoder_has_a_seed_of_its_own_and_attaching_draws_nothing():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    detector = detached()
    gan = generator(StyleGenerator)
    torch.set_rng_state(state)
    detector.attach_gan(gan, nn.Identity())
    assert torch.equal(torch.get_rng_state(), state)
    for seed, same in ((0, True), (1, False)):
        other = attached(seed=seed).encoder.state_dict()
        alike = [torch.equal(value, other[name]) for name, value in detector.encoder.state_dict().items()]
        assert all(alike) == same


def test_head_and_encoder_learn_apart():
    detector = attached()
    detector.loss(images(), LABELS).backward()
    of_encoder = [parameter.grad.clone() for parameter in detector.encoder.parameters() if parameter.grad is not None]
    detector.zero_grad()
    detector.loss(images(), 1 - LABELS).backward()  # the encoder does not use the labels
    for mine, other in zip(of_encoder, (parameter.grad for parameter in detector.encoder.parameters()), strict=True):
        torch.testing.assert_close(mine, other)
    assert all(parameter.grad is not None for parameter in detector.head.parameters())
    assert all(parameter.grad is None for parameter in detector.generator.parameters())


@pytest.mark.parametrize("side", [12, 16])
def test_evidence_of_another_size_than_the_generators(side):
    detector = attached(side=side)
    assert detector.reconstructed(images(side=side)).shape == (4, 1, side, side)
    assert detector.loss(images(side=side), LABELS).isfinite()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_image_through_generator_and_encoder(kind):
    detector, x = attached(kind).eval(), images().requires_grad_()
    (whole,) = torch.autograd.grad(detector(x).sum(), x)
    (direct,) = torch.autograd.grad(detector.head(x, detector.reconstructed(x).detach()).sum(), x)
    assert whole.abs().amax((1, 2, 3)).gt(0).all()
    assert not torch.allclose(whole, direct, atol=0, rtol=1e-3)


def attached_to_one_of_another_package(name: str) -> Inversion:
    shape = ImageShape(resolution=8, channels=1, levels=17)
    outside = module_generator(name=f"tests.generators.foreign.{name}", z_dim=Z_DIM, trainable=True, **shape)
    assert isinstance(outside, TrainableGenerator)
    detector = detached()
    detector.attach_gan(outside, nn.Identity())
    return detector


@pytest.mark.parametrize("name", ["Net", "Tied"])
def test_a_network_from_another_package_is_inverted_too(name):
    assert attached_to_one_of_another_package(name).loss(images(), LABELS).isfinite()


def test_a_generator_that_draws_more_than_z_is_not():
    with pytest.raises(DoesNotApply, match="needs a generator that draws nothing at random beside z"):
        attached_to_one_of_another_package("Noisy")


@pytest.mark.parametrize("side", [8, 12, 15, 64])
def test_the_encoder_takes_any_size(side):
    assert Encoder(channels=1, side=side, width=4, size=7)(images(side=side)).shape == (4, 7)


def test_the_next_rounds_generator_leaves_the_encoder_as_it_was():
    detector = attached()
    with torch.no_grad():
        for parameter in detector.encoder.parameters():
            parameter.add_(0.1)
    before_codes = {name: value.clone() for name, value in detector.encoder.state_dict().items()}
    later = generator(StyleGenerator)
    with torch.no_grad():
        for parameter in later.parameters():
            parameter.mul_(1.1)
    before = detector.centre.clone()
    detector.attach_gan(later, nn.Identity())
    assert all(torch.equal(value, before_codes[name]) for name, value in detector.encoder.state_dict().items())
    assert not torch.equal(detector.centre, before)
