import numpy as np
import torch

from arena.core.seeding import derive_seed
from arena.generators.mixing import DESTINATIONS, SOURCES, MixingGrid, mix, wide
from arena.generators.style import LEVELS, StyleGenerator
from arena.imaging.images import on_levels, to_float, to_uint8


def truncated(generator: StyleGenerator, seed: int, name: str, count: int, psi: float) -> torch.Tensor:
    """The codes by their definition."""
    rng = torch.Generator().manual_seed(derive_seed(seed, "bank", player=f"mixing/{name}"))
    w = generator.mapping(torch.randn(count, generator.z_dim, generator=rng))
    return wide(generator.w_average + psi * (w - generator.w_average), generator.n_styles)


def test_every_mixture_has_its_level_of_its_row_and_the_rest_of_its_column(generator):
    grid = MixingGrid.of(generator, seed=3, levels=17, psi=0.5)
    sources = truncated(generator, 3, "sources", SOURCES, 0.5)
    destinations = truncated(generator, 3, "destinations", DESTINATIONS, 0.5)
    assert grid.psi.item() == 0.5
    for level in LEVELS:
        mixed = getattr(grid, level)
        for i, j in ((0, 0), (SOURCES - 1, 2), (1, DESTINATIONS - 1)):
            code = mix(sources[i : i + 1], destinations[j : j + 1], generator.style_levels[level])
            image = to_uint8(on_levels(generator.images_of(code, "frozen"), 17))[0]
            off = (mixed[i, j].int() - image.int()).abs()  # a batch of another size rounds differently
            assert off.max() <= 16
            assert (off > 0).float().mean() < 0.01


def test_images_lie_on_the_datas_grey_levels(generator):
    grid = MixingGrid.of(generator, seed=0, levels=17)
    for images in (grid.sources, grid.destinations, grid.coarse, grid.middle, grid.fine):
        assert images.dtype == torch.uint8
        assert torch.equal(to_uint8(on_levels(to_float(images), 17)), images)


def test_the_same_seed_makes_the_same_file_and_another_one_another(generator, tmp_path):
    paths = [tmp_path / name for name in ("a.npz", "b.npz", "c.npz")]
    for path, seed in zip(paths, (0, 0, 1), strict=True):
        MixingGrid.of(generator, seed, levels=256).save(path)
    a, b, c = (path.read_bytes() for path in paths)
    assert a == b != c
    with np.load(paths[0], allow_pickle=False) as arrays:
        assert arrays["coarse"].shape == (SOURCES, DESTINATIONS, 3, 16, 16)
        assert arrays["sides"].tolist() == [[4, 4], [8, 8], [16, 16]]
        assert arrays["psi"] == 0.7
