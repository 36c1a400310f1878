import torch

from arena.generators.gan2014 import Maxout


def test_maxout_is_the_largest_of_its_pieces() -> None:
    layer, x = Maxout(4, 3, pieces=2), torch.randn(5, 4)
    pieces = layer.linear(x)
    expected = torch.stack([torch.maximum(pieces[:, 2 * k], pieces[:, 2 * k + 1]) for k in range(3)], 1)
    assert torch.equal(layer(x), expected)
