import numpy as np
import torch
from torch import nn

from arena.core.seeding import derive_seed
from arena.data.reals import Reals
from arena.generators.dcgan import DcganGenerator


def channels_of_norms(network: nn.Module) -> list[int]:
    return [layer.num_features for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]


def test_channels_are_those_of_figure_1_of_the_paper() -> None:
    generator = DcganGenerator(resolution=64, channels=3, levels=256, width=1024)
    assert channels_of_norms(generator) == [1024, 512, 256, 128]


def test_the_discriminator_normalises_every_layer_after_the_first_if_asked() -> None:
    for batch_norm, expected in ((True, [256, 512, 1024]), (False, [])):
        generator = DcganGenerator(resolution=64, channels=3, levels=256, width=1024, batch_norm=batch_norm)
        assert channels_of_norms(generator.discriminator(64)) == expected


def test_a_forged_image_does_not_depend_on_batch_mates_and_forging_keeps_the_training_mode() -> None:
    torch.manual_seed(0)
    generator = DcganGenerator(resolution=16, channels=1, levels=17, width=16, z_dim=6)
    for _ in range(20):
        generator(torch.randn(32, 6))
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    reals = Reals(torch.zeros(1, 1, 16, 16, dtype=torch.uint8), np.zeros(1, dtype=np.int64))
    forged = generator.forge({"test": 40}, seed=1, reals=reals)["test"]
    assert generator.training
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    z = torch.randn(40, 6, generator=torch.Generator().manual_seed(derive_seed(1, "bank", player="test")))
    torch.testing.assert_close(forged[:3], generator.eval()(z[:3]))
