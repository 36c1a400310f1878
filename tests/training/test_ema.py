import pytest
import torch
from torch import nn

from arena.training.gan import average_of, decay, update


def test_the_half_life_ramps_up_with_the_images_seen() -> None:
    # After half_life images the average keeps half; a young one follows at 5% of what it has seen.
    assert decay(64, 10**9, half_life=6400, ramp=0.05) ** 100 == pytest.approx(0.5)
    assert decay(64, 12_800, half_life=6400, ramp=0.05) == pytest.approx(0.5 ** (64 / 640))
    assert decay(64, 64, half_life=6400, ramp=0.05) == pytest.approx(0.5**20)


def test_the_average_is_the_geometric_sum() -> None:
    module = nn.Linear(3, 2)
    average = average_of(module)
    start = module.weight.detach().clone()
    values = torch.randn(5, *start.shape)
    for value in values:
        module.weight.data.copy_(value)
        update(average, module, 0.7)
    expected = 0.7**5 * start + sum(0.3 * 0.7 ** (4 - k) * value for k, value in enumerate(values))
    torch.testing.assert_close(average.weight.data, expected)


def test_buffers_are_the_modules_and_the_average_stays_in_eval_mode_without_gradients() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    average = average_of(module)
    assert module.training
    assert not any(part.training for part in average.modules())
    assert not any(parameter.requires_grad for parameter in average.parameters())
    module(torch.randn(4, 1, 8, 8))
    update(average, module, 0.9)
    for mine, of_module in zip(average.buffers(), module.buffers(), strict=True):
        assert torch.equal(mine, of_module)
        assert mine.data_ptr() != of_module.data_ptr()
