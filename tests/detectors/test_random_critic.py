"""Critics that know no technique: their filters are fixed and random, and what is behind them learns."""

import torch

from arena.detectors.random_critic import RandomCritic, random_filters


def critic(seed: int, channels: int = 3) -> RandomCritic:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RandomCritic(resolution=16, channels=channels, levels=256)


def test_filters_have_norm_one_and_depend_on_the_seed():
    torch.manual_seed(0)
    torch.testing.assert_close(random_filters(3).flatten(1).norm(dim=1), torch.ones(16))
    one, again, other = (dict(critic(seed).named_buffers())["network.filters"] for seed in (0, 0, 1))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_step_changes_the_network_and_no_filter_and_reaches_the_image():
    network = critic(0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = torch.rand(4, 3, 16, 16).mul(2).sub(1).requires_grad_()
    labels = torch.tensor([0.0, 0.0, 1.0, 1.0])
    network.loss(images, labels).backward()
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    assert images.grad is not None
    assert images.grad.abs().sum((1, 2, 3)).gt(0).all()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == set(before) - {"network.filters"}
