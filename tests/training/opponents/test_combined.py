"""Opponents that pull together."""

import torch

from arena.training.opponents.combined import Together
from tests.training.opponents.test_kernel import BATCH, opponents, seen
from tests.training.opponents.test_live import rng


def test_opponents_together_pull_by_the_sum():
    parts = {"one": opponents("spectrum"), "other": opponents("forest")}
    both = Together({"one": opponents("spectrum"), "other": opponents("forest")})
    fakes = seen(BATCH, 3, smooth=True)
    own = torch.ones_like(fakes)
    expected = sum(part.pull(fakes, own, rng()).gradient for part in parts.values())
    torch.testing.assert_close(both.pull(fakes, own, rng()).gradient, expected)
    assert both.figures().keys() == {"spectrum_excess", "forest_excess"}
