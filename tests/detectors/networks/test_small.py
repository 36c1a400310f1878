import pytest
import torch

from arena.detectors.networks.small import FrankNetwork, NatarajNetwork, ResidualNetwork, ResidualTrunk


@pytest.mark.parametrize("side", [8, 16, 32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_is_down_sampled_before_the_end_of_the_first_block(side, channels):
    network = ResidualNetwork(channels=channels, side=side, width=4).eval()
    sides: list[int] = []
    for module in (network.stem, network.blocks[0].get_submodule("second_norm"), *network.blocks):
        module.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
    assert network(torch.zeros(2, channels, side, side)).shape == (2,)
    halvings = [side // 2**k for k in range(1, len(network.blocks))]
    assert sides == [side, side, *halvings, 4]
    assert halvings[-1] == 4


def test_every_pixel_counts():
    torch.manual_seed(0)
    network = ResidualNetwork(channels=3, side=32, width=4).eval()
    images = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(network(images).sum(), images)
    assert (gradient.abs().sum(1) > 0).all()


def test_width_doubles_with_every_halving_up_to_four_times():
    assert ResidualTrunk(channels=1, side=64, width=4).widths == (4, 4, 8, 16, 16, 16)


def test_more_blocks_are_kept_at_full_resolution():
    trunk = ResidualTrunk(channels=1, side=16, width=4, kept=3)
    assert [features.shape[-1] for features in trunk.maps(torch.zeros(2, 1, 16, 16))] == [16, 16, 16, 8, 4, 4]


def test_a_truncated_trunk_is_the_beginning_of_the_whole():
    whole, images = ResidualTrunk(channels=3, side=32, width=4).eval(), torch.rand(2, 3, 32, 32)
    short = ResidualTrunk(channels=3, side=32, width=4, blocks=2).eval()
    short.load_state_dict({name: whole.state_dict()[name] for name in short.state_dict()})
    maps, expected = short.maps(images), whole.maps(images)
    assert short.widths == whole.widths[:3]
    for width, ours, theirs in zip(short.widths, maps, expected, strict=False):
        assert ours.shape[1] == width
        assert torch.equal(ours, theirs)


def test_the_network_of_frank_has_the_size_of_the_paper():
    # At 128 pixels and 3 channels, summed up from the published layers: 84 + 224 + 1168 + 4640 and 32 * 32 * 32 + 1.
    network = FrankNetwork(channels=3, side=128)
    assert sum(parameter.numel() for parameter in network.parameters()) == 84 + 224 + 1168 + 4640 + 32**3 + 1
    assert network(torch.zeros(2, 3, 128, 128)).shape == (2,)


def test_the_network_of_nataraj_has_the_size_of_the_paper():
    # Summed up from the published layers, on three matrices of 256 by 256.
    convolutions = [(3, 32, 3), (32, 32, 5), (32, 64, 3), (64, 64, 5), (64, 128, 3), (128, 128, 5)]
    expected = sum(before * width * size**2 + width for before, width, size in convolutions)
    expected += 128 * 32 * 32 * 256 + 256 + 256 * 256 + 256 + 256 + 1
    with torch.device("meta"):
        network = NatarajNetwork(channels=3, side=256)
        assert network(torch.zeros(2, 3, 256, 256)).shape == (2,)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
