import torch

from arena.detectors.networks.small import NatarajNetwork


def test_it_has_the_layers_of_the_paper():
    # Summed up from the published layers, on three matrices of 256 by 256.
    convolutions = [(3, 32, 3), (32, 32, 5), (32, 64, 3), (64, 64, 5), (64, 128, 3), (128, 128, 5)]
    expected = sum(before * width * size**2 + width for before, width, size in convolutions)
    expected += 128 * 32 * 32 * 256 + 256 + 256 * 256 + 256 + 256 + 1
    with torch.device("meta"):
        network = NatarajNetwork(channels=3, side=256)
        assert network(torch.zeros(2, 3, 256, 256)).shape == (2,)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
