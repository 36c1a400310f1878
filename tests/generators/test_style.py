from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from arena.core.errors import ArenaError
from arena.generators.style import LEVELS, W_AVERAGE_BETA, Level, StyleGenerator


def small(resolution: int = 8, channels: int = 1, width: int = 8, **settings: Any) -> StyleGenerator:
    torch.manual_seed(0)
    return StyleGenerator(resolution=resolution, channels=channels, levels=17, width=width, z_dim=6, **settings)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noisy(generator: StyleGenerator) -> StyleGenerator:
    """Set the noise strengths, which start at 0, so that noise is visible."""
    for layer in generator.layers:
        nn.init.constant_(layer.get_parameter("noise_strength"), 0.5)
    return generator


def test_noise_is_drawn_from_the_stream_alone() -> None:
    generator, z = noisy(small()), torch.randn(3, 6)
    assert torch.equal(generator(z, rng(1)), generator(z, rng(1)))
    assert not torch.equal(generator(z, rng(1)), generator(z, rng(2)))
    assert torch.equal(generator(z), generator(z))


def test_z_is_normalised() -> None:
    generator, z = small(), torch.randn(3, 6)
    torch.testing.assert_close(generator(z), generator(7 * z), rtol=1e-4, atol=1e-5)


def test_mixing_takes_the_styles_of_later_layers_from_the_other_z() -> None:
    generator = small(16, mixing=1.0)
    styles, layer_of, crossovers = torch.zeros(200, sum(generator.style_sizes)), generator.layer_of, set()
    for image in generator.mix(styles, styles + 1, rng()):
        crossover = int(layer_of[image == 1].min())
        assert torch.equal(image, (layer_of >= crossover).float())
        crossovers.add(crossover)
    assert crossovers == set(range(1, len(generator.layers)))


@pytest.mark.parametrize(("mixing", "low", "high"), [(0.0, 0, 0), (0.5, 70, 130), (1.0, 200, 200)])
def test_mixing_happens_with_its_probability(mixing: float, low: int, high: int) -> None:
    generator = small(mixing=mixing)
    styles = torch.zeros(200, sum(generator.style_sizes))
    mixed = generator.mix(styles, styles + 1, rng()).any(1).sum()
    assert low <= mixed <= high


def test_without_mixing_a_training_image_is_that_of_its_z() -> None:
    generator, z = small(mixing=0.0), torch.randn(3, 6)
    torch.testing.assert_close(generator.draw(z, rng()), generator(z), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_truncation_draws_towards_the_mean_of_w() -> None:
    generator, z = small(), torch.randn(64, 6)
    torch.testing.assert_close(generator.images_of(generator.truncated(z, 1.0)), generator(z))
    generator.w_average.copy_(generator.mapping(torch.randn(4096, 6)).mean(0))
    collapsed = generator.images_of(generator.truncated(z, 0.0))
    assert torch.equal(collapsed[:1].expand_as(collapsed), collapsed)
    assert generator.images_of(generator.truncated(z, 0.5)).std(0).mean() < generator(z).std(0).mean()


def test_the_mean_of_w_is_updated_by_draw_and_not_by_forward() -> None:
    generator, z = small(), torch.randn(3, 6)
    generator(z, rng())
    assert not generator.w_average.any()
    other = torch.randn(z.shape, generator=rng(5))
    generator.draw(z, rng(5))
    w = generator.mapping(torch.cat([z, other])).mean(0)
    torch.testing.assert_close(generator.w_average, (1 - W_AVERAGE_BETA) * w)


def test_under_autocast_images_stay_close() -> None:
    generator, z = noisy(small(16, 3)), torch.randn(8, 6)
    expected = generator(z, rng())
    with torch.autocast("cpu", torch.bfloat16):
        got = generator(z, rng())
    assert (got.float() - expected).abs().mean() < 0.03 * expected.abs().mean()


@pytest.mark.parametrize(
    ("resolution", "sides"),
    [
        (8, ([4], [8], [8])),
        (16, ([4], [8, 8], [16, 16])),
        (32, ([4, 8, 8], [16, 16], [32, 32])),
        (64, ([4, 8, 8], [16, 16, 32, 32], [64, 64])),
        (256, ([4, 8, 8], [16, 16, 32, 32], [64, 64, 128, 128, 256, 256])),
    ],
)
def test_the_levels_of_style_are_the_papers_and_cover_every_layer(
    resolution: int, sides: tuple[list[int], ...]
) -> None:
    generator = small(resolution)
    levels = generator.style_levels
    assert [generator.sides[levels[level]] for level in LEVELS] == [*sides]
    every = [layer for level in LEVELS for layer in range(generator.n_styles)[levels[level]]]
    assert every == list(range(generator.n_styles))


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_of_a_code_changes_the_styles_of_its_layers_and_no_other(level: Level) -> None:
    generator = small(32)
    code = torch.randn(2, generator.n_styles, 6)
    changed = code.clone()
    changed[:, generator.style_levels[level]] += 1
    moved = (generator.styles_of(changed) != generator.styles_of(code)).all(0)
    own = torch.isin(generator.layer_of, torch.arange(generator.n_styles)[generator.style_levels[level]])
    assert torch.equal(moved, own)


def test_frozen_noise_is_the_same_in_every_image_and_call_and_not_none() -> None:
    generator, w = noisy(small()), torch.randn(3, 6)
    images = generator.images_of(w, "frozen")
    assert torch.equal(images, generator.images_of(w, "frozen"))
    torch.testing.assert_close(images[1:2], generator.images_of(w[1:2], "frozen"))
    assert not torch.equal(images, generator.images_of(w))


def test_it_starts_from_given_weights_and_names_wrong_ones(tmp_path: Path) -> None:
    one, file = small(), tmp_path / "w.safetensors"
    nn.init.normal_(one.constant)
    save_file(one.state_dict(), file)
    assert torch.equal(small(weights=file).constant, one.constant)
    for width, weights in ((16, file), (8, tmp_path / "missing.safetensors")):
        with pytest.raises(ArenaError, match=r"generator.weights=.*: expected safetensors of this network"):
            small(width=width, weights=weights)
