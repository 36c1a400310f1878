import pytest
import torch

from arena.detectors.cnn import Cnn, ResidualBlock


@pytest.mark.parametrize("resolution", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_down_sampled_before_the_end_of_the_first_block(resolution, channels):
    cnn = Cnn(resolution=resolution, channels=channels, levels=256, width=4).eval()
    sides: list[int] = []
    watched = [cnn.stem, cnn.blocks[0].second_norm, *cnn.blocks]
    for module in watched:
        module.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
    assert cnn(torch.zeros(2, channels, resolution, resolution)).shape == (2,)
    halvings = [resolution // 2**k for k in range(1, len(cnn.blocks))]
    assert sides == [resolution, resolution, *halvings, 4]
    assert halvings[-1] == 4


def test_every_pixel_counts():
    cnn = Cnn(resolution=32, channels=3, levels=256, width=4).eval()
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(cnn(images).sum(), images)
    assert (gradient.abs().sum(1) > 0).all()


def test_width_doubles_with_every_halving_up_to_four_times():
    cnn = Cnn(resolution=64, channels=1, levels=256, width=4)
    widths = [block.first.out_channels for block in cnn.blocks if isinstance(block, ResidualBlock)]
    assert widths == [4, 8, 16, 16, 16]
