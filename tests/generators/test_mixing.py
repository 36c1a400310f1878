import numpy as np
import pytest
import torch

from arena.core.seeding import derive_seed
from arena.generators.mixing import DESTINATIONS, PSI, SOURCES, MixingGrid, mix
from arena.generators.style import LEVELS, Level, StyleGenerator
from arena.imaging.images import on_levels, to_float, to_uint8
from tests.building import untrained_style_generator


@pytest.fixture(scope="module")
def generator() -> StyleGenerator:
    return untrained_style_generator(levels=17)


def codes(generator: StyleGenerator, n: int, seed: int) -> torch.Tensor:
    """Return W+ codes whose layers all differ, so that a misplaced layer is visible."""
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(n * generator.n_styles, generator.z_dim, generator=rng)
    return generator.mapping(z).unflatten(0, (n, generator.n_styles))


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_comes_from_the_source_and_all_others_from_the_destination(generator, level: Level):
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


def test_codes_are_broadcast_so_that_every_source_meets_every_destination(generator):
    sources, destinations = codes(generator, 2, 0), codes(generator, 3, 1)
    layers = generator.style_levels["middle"]
    grid = mix(sources[:, None], destinations, layers)
    for i in range(2):
        for j in range(3):
            assert torch.equal(grid[i, j], mix(sources[i], destinations[j], layers))


def test_w_in_every_layer_makes_the_image_of_w(generator):
    w = codes(generator, 2, 0)[:, 0]
    w_plus = generator.w_plus(w)
    torch.testing.assert_close(generator.images_of(w_plus, "frozen"), generator.images_of(w, "frozen"))
    assert generator.w_plus(w_plus) is w_plus


def truncated(generator: StyleGenerator, seed: int, name: str, count: int) -> torch.Tensor:
    """Return the truncated codes by their definition."""
    rng = torch.Generator().manual_seed(derive_seed(seed, "bank", player=f"mixing/{name}"))
    w = generator.mapping(torch.randn(count, generator.z_dim, generator=rng))
    return generator.w_plus(generator.w_average + PSI * (w - generator.w_average))


def test_every_mixture_has_one_level_of_its_row_and_the_rest_of_its_column(generator):
    grid = MixingGrid.of(generator, seed=3)
    sources = truncated(generator, 3, "sources", SOURCES)
    destinations = truncated(generator, 3, "destinations", DESTINATIONS)
    for level in LEVELS:
        mixed = getattr(grid, level)
        for i, j in ((0, 0), (SOURCES - 1, 2), (1, DESTINATIONS - 1)):
            code = mix(sources[i : i + 1], destinations[j : j + 1], generator.style_levels[level])
            image = to_uint8(on_levels(generator.images_of(code, "frozen"), 17))[0]
            off = (mixed[i, j].int() - image.int()).abs()  # a batch of another size rounds differently
            assert off.max() <= 16
            assert (off > 0).float().mean() < 0.01
    for images in (grid.sources, grid.destinations, grid.coarse, grid.middle, grid.fine):
        assert images.dtype == torch.uint8
        assert torch.equal(to_uint8(on_levels(to_float(images), 17)), images)  # on the grey levels of the data


def test_equal_seeds_make_equal_files_and_others_do_not(generator, tmp_path):
    paths = [tmp_path / name for name in ("a.npz", "b.npz", "c.npz")]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        MixingGrid.of(generator, seed).save(path)
    a, b, c = (path.read_bytes() for path in paths)
    assert a == b != c
    with np.load(paths[0], allow_pickle=False) as arrays:
        assert arrays["coarse"].shape == (SOURCES, DESTINATIONS, 3, 16, 16)
        assert arrays["sides"].tolist() == [[4, 4], [8, 8], [16, 16]]
        assert arrays["psi"] == PSI
