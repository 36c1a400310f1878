import pytest
import torch

from arena.generators.layers import StyleLayer
from arena.generators.style import StyleGenerator


@pytest.fixture(scope="package")
def generator() -> StyleGenerator:
    """An untrained generator whose images depend on styles, noise and the mean of w."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = StyleGenerator(resolution=16, channels=3, levels=256, width=8, z_dim=6)
        for layer in generator.layers:
            assert isinstance(layer, StyleLayer)
            torch.nn.init.constant_(layer.noise_strength, 0.3)
    generator.eval().requires_grad_(False)
    generator.w_average.copy_(
        generator.mapping(torch.randn(512, 6, generator=torch.Generator().manual_seed(1))).mean(0)
    )
    return generator
