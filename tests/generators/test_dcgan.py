import numpy as np
import pytest
import torch

from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.generators.dcgan import DcganGenerator


def build(resolution: int = 16, channels: int = 1) -> DcganGenerator:
    torch.manual_seed(0)
    return DcganGenerator(resolution=resolution, channels=channels, levels=17, width=16, z_dim=6)


@pytest.mark.parametrize(("resolution", "channels"), [(8, 1), (16, 3), (64, 1), (256, 3)])
def test_images_and_logits_have_their_shapes(resolution: int, channels: int) -> None:
    generator = build(resolution, channels)
    images = generator(torch.randn(2, 6))
    assert images.shape == (2, channels, resolution, resolution)
    assert images.abs().max() <= 1
    assert generator.discriminator(generator.resolution)(images).shape == (2,)


def test_the_channels_are_those_of_figure_1_of_the_paper() -> None:
    generator = DcganGenerator(resolution=64, channels=3, levels=256, width=1024)
    widths = [layer.num_features for layer in generator.layers if isinstance(layer, torch.nn.BatchNorm2d)]
    assert widths == [1024, 512, 256, 128]


def test_batch_normalisation_is_in_every_layer_of_the_discriminator_but_the_first() -> None:
    for batch_norm, expected in ((True, [256, 512, 1024]), (False, [])):
        generator = DcganGenerator(resolution=64, channels=3, levels=256, width=1024, batch_norm=batch_norm)
        layers = generator.discriminator(64).modules()
        assert [layer.num_features for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)] == expected


def test_a_forged_image_does_not_depend_on_its_mates_and_forging_leaves_the_training_mode() -> None:
    generator = build()
    for _ in range(20):
        generator(torch.randn(32, 6))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    reals = Reals(torch.zeros(1, 1, 16, 16, dtype=torch.uint8), np.zeros(1, dtype=np.int64))
    forged = generator.forge({"test": 40}, seed=1, reals=reals)["test"]
    assert generator.training
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(derive_seed(1, "bank", player="test")))
    torch.testing.assert_close(forged[:3], generator.eval()(z[:3]))


def test_impossible_settings_are_named() -> None:
    with pytest.raises(ArenaError, match="a resolution the generator cannot make"):
        build(24)
    with pytest.raises(ArenaError, match=r"generator.z_dim=0"):
        DcganGenerator(resolution=8, channels=1, levels=17, z_dim=0)
