import pytest
import torch

from arena.generators.mixing import crossed, mix, wide
from arena.generators.style import LEVELS, Level, StyleGenerator


def codes(generator: StyleGenerator, n: int, seed: int) -> torch.Tensor:
    """W+ codes whose layers all differ, so that a layer out of its place shows."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(n * generator.n_styles, generator.z_dim, generator=rng)
    return generator.mapping(z).unflatten(0, (n, generator.n_styles))


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_comes_from_the_source_and_all_others_stay_the_destinations(generator, level: Level):
    source, destination = codes(generator, 3, 0), codes(generator, 3, 1)
    untouched = source.clone(), destination.clone()
    mixed = mix(source, destination, generator.style_levels[level])
    inside = torch.zeros(generator.n_styles, dtype=torch.bool)
    inside[generator.style_levels[level]] = True
    assert torch.equal(mixed[:, inside], source[:, inside])
    assert torch.equal(mixed[:, ~inside], destination[:, ~inside])
    assert torch.equal(source, untouched[0])
    assert torch.equal(destination, untouched[1])
    image = generator.images_of(mixed, "frozen")
    for code in (source, destination):
        assert (image - generator.images_of(code, "frozen")).abs().amax((1, 2, 3)).min() > 1e-3


def test_mixed_with_itself_a_code_is_itself(generator):
    code = codes(generator, 2, 0)
    for level in LEVELS:
        assert torch.equal(mix(code, code, generator.style_levels[level]), code)


def test_all_levels_of_the_source_make_the_sources_image(generator):
    source, destination = codes(generator, 2, 0), codes(generator, 2, 1)
    mixed = mix(source, destination, slice(None))
    assert torch.equal(generator.images_of(mixed, "frozen"), generator.images_of(source, "frozen"))


def test_everyone_is_crossed_with_everyone(generator):
    sources, destinations = codes(generator, 2, 0), codes(generator, 3, 1)
    layers = generator.style_levels["middle"]
    grid = crossed(sources, destinations, layers)
    for i in range(2):
        for j in range(3):
            assert torch.equal(grid[i, j], mix(sources[i], destinations[j], layers))


def test_w_in_every_layer_makes_the_image_of_w(generator):
    w = codes(generator, 2, 0)[:, 0]
    wider = wide(w, generator.n_styles)
    torch.testing.assert_close(generator.images_of(wider, "frozen"), generator.images_of(w, "frozen"))
    assert wide(wider, generator.n_styles) is wider
