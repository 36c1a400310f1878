import pytest
import torch

from arena.core.errors import ArenaError
from arena.generators.gan2014 import Gan2014Generator, Maxout


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (32, 3)])
def test_images_and_logits_have_their_shapes(resolution: int, channels: int) -> None:
    generator = Gan2014Generator(resolution=resolution, channels=channels, levels=17, width=16, z_dim=6)
    images = generator(torch.randn(3, 6))
    assert images.shape == (3, channels, resolution, resolution)
    assert images.abs().max() <= 1
    assert generator.discriminator(resolution)(images).shape == (3,)


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer, x = Maxout(4, 3, pieces=2), torch.randn(5, 4)
    pieces = layer.linear(x)
    expected = torch.stack([torch.maximum(pieces[:, 2 * k], pieces[:, 2 * k + 1]) for k in range(3)], 1)
    assert torch.equal(layer(x), expected)


@pytest.mark.parametrize("key", ["width", "z_dim", "learning_rate"])
def test_impossible_settings_are_named(key: str) -> None:
    with pytest.raises(ArenaError, match=f"generator.{key}=0"):
        Gan2014Generator(resolution=8, channels=1, levels=17, **{key: 0})
