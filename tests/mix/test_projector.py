import pytest
import torch

from arena.mix.photographs import Projection, Projector, pyramid_distance


@pytest.fixture(scope="module")
def targets(generator) -> torch.Tensor:
    """Images whose codes are known to exist."""
    z = torch.randn(2, generator.z_dim, generator=torch.Generator().manual_seed(7))
    return generator.images_of(generator.mapping(z), "frozen")


@pytest.fixture(scope="module")
def found(generator, targets) -> tuple[Projector, Projection, Projection]:
    projector = Projector(generator, steps=60, seed=0)
    in_w = projector.w(targets)
    return projector, in_w, projector.w_plus(targets, in_w)


def test_the_distance_is_0_of_the_same_and_hears_of_every_scale():
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert pyramid_distance(image, image) == 0
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    for change in (torch.full((16, 16), 0.1), 0.1 * checks, 0.1 * checks.repeat_interleave(4, 0)[:16].T):
        # The mean square of each is 0.01; the level it lies in adds about its amplitude.
        assert 0.06 < pyramid_distance(image + change, image) < 0.3


def test_each_image_has_a_distance_of_its_own():
    rng = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 3, 3, 8, 8, generator=rng)
    each = torch.cat([pyramid_distance(a[k : k + 1], b[k : k + 1]) for k in range(3)])
    torch.testing.assert_close(pyramid_distance(a, b), each)


def test_a_generated_image_is_found_again(found, targets):
    projector, in_w, in_w_plus = found
    start = projector.distance(projector.mean.expand(2, -1), targets)
    assert (in_w.distance < 0.1 * start).all()
    assert (in_w_plus.distance <= 1.001 * in_w.distance).all()  # the same code rounds differently in W+
    assert in_w.code.shape == (2, 6)
    assert in_w_plus.code.shape == (2, projector.generator.n_styles, 6)


def test_w_plus_comes_nearer_to_what_w_cannot_say(generator):
    """The styles of two images in one: in W+ there is a code for it, in W there need not be."""
    w = generator.mapping(torch.randn(2, 6, generator=torch.Generator().manual_seed(9)))
    mixed = w[[0] * 3 + [1] * (generator.n_styles - 3)][None]
    target = generator.images_of(mixed, "frozen")
    projector = Projector(generator, steps=60, seed=0)
    in_w = projector.w(target)
    in_w_plus = projector.w_plus(target, in_w)
    assert in_w_plus.distance < 0.8 * in_w.distance
    assert 0 < in_w_plus.strayed < 1


def test_the_distance_told_is_that_of_the_code(found, targets):
    projector, *both = found
    for projection in both:
        again = pyramid_distance(projector.generator.images_of(projection.code, "frozen"), targets)
        torch.testing.assert_close(projection.distance, again)


def test_a_seed_decides_all_and_an_image_finds_the_same_alone(generator, targets):
    codes = [Projector(generator, steps=8, seed=seed).w(targets).code for seed in (0, 0, 1)]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])
    alone = Projector(generator, steps=8, seed=0).w(targets[1:]).code
    torch.testing.assert_close(alone, codes[0][1:], rtol=1e-3, atol=1e-3)
