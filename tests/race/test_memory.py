"""Sizes that cannot fit into memory are refused before anything is allocated, and others are not."""

import pytest
from omegaconf import OmegaConf

from arena.config.compose import compose_config
from arena.core.errors import ArenaError
from arena.generators.style import StyleGenerator
from arena.race.build import plan_race
from arena.race.memory import available_bytes, check_networks

TOO_LARGE = [
    ("data=portraits", "data.resolution=1048576"),
    ("data=folder", "data.path=nowhere", "data.resolution=1048576"),
    ("bank.train=1000000000000",),
    ("bank.test=1000000000000",),
    ("generator.width=100000000",),
    ("generator=dcgan", "generator.width=10000000"),
    ("generator.discriminator_width=100000000",),
    ("battery.members.cnn.network.width=10000000",),
]


@pytest.mark.parametrize("overrides", TOO_LARGE, ids=lambda overrides: overrides[-1])
def test_what_cannot_fit_is_named(overrides, tmp_path):
    composed = compose_config([*overrides, f"run_dir={tmp_path}", f"cache_dir={tmp_path}", "logger=none"])
    key, _, value = overrides[-1].partition("=")
    with pytest.raises(ArenaError, match=rf"^{key}={value}: expected what fits into memory.* GiB are free"):
        plan_race(composed)


def test_the_estimate_counts_the_weights_in_training(monkeypatch):
    """Weights, gradients, two moments and the average of a generator, and the first four of its discriminator."""
    generator = StyleGenerator(resolution=16, channels=3, levels=256, width=16)
    needed = 4 * 5 * sum(weight.numel() for weight in generator.parameters())
    needed += 4 * 4 * sum(weight.numel() for weight in generator.discriminator(16).parameters())
    node = OmegaConf.create({"width": 16})

    def check():
        check_networks("generator", node, lambda: StyleGenerator(resolution=16, channels=3, levels=256, width=16))

    monkeypatch.setattr("arena.race.memory.available_bytes", lambda: needed)
    check()
    monkeypatch.setattr("arena.race.memory.available_bytes", lambda: needed - 1)
    with pytest.raises(ArenaError, match=r"generator\.width=16: "):
        check()


def test_this_machine_has_memory():
    assert available_bytes() > 2**26
