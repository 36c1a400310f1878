from itertools import pairwise

import pytest
import torch

from arena.core.degradations import LADDERS
from arena.imaging.degrade import degraded
from arena.imaging.evidence import codec
from arena.imaging.images import on_levels, to_float, to_uint8


def pictures(n: int = 32, channels: int = 3, side: int = 16, levels: int = 256) -> torch.Tensor:
    """White noise halfway between black and white, where nothing is clipped."""
    draws = torch.Generator().manual_seed(0)
    return to_uint8(on_levels(0.3 * torch.rand((n, channels, side, side), generator=draws) - 0.15, levels))


@pytest.mark.parametrize("kind", LADDERS)
@pytest.mark.parametrize(("channels", "side", "levels"), [(1, 8, 17), (3, 16, 256)])
def test_each_rung_takes_more_away_than_the_one_before(kind, channels, side, levels):
    images = pictures(channels=channels, side=side, levels=levels)
    ladder = LADDERS[kind]
    assert torch.equal(degraded(images, kind, ladder.none, levels, seed=0), images)
    lost = []
    for level in ladder.levels:
        found = degraded(images, kind, level, levels, seed=0)
        assert found.dtype == torch.uint8
        assert found.shape == images.shape
        assert torch.equal(to_uint8(on_levels(to_float(found), levels)), found)  # on the data's grey levels
        lost.append(float((to_float(found) - to_float(images)).square().mean()))
    assert all(before <= after * 1.05 for before, after in pairwise(lost))
    assert lost[-1] > 1.1 * lost[0]


def test_noise_has_the_deviation_it_is_named_by_and_is_its_own_on_every_image():
    images = torch.full((200, 1, 16, 16), 128, dtype=torch.uint8)
    found = degraded(images, "noise", 8, 256, seed=1).float() - 128
    assert found.std() == pytest.approx(8, rel=0.01)
    assert abs(torch.corrcoef(found.flatten(1))[0, 1]) < 0.2
    twice = degraded(images, "noise", 16, 256, seed=1).float() - 128
    assert torch.corrcoef(torch.stack([found.flatten(), twice.flatten()]))[0, 1] > 0.99
    assert not torch.equal(degraded(images, "noise", 8, 256, seed=2).float() - 128, found)


def test_a_checkerboard_is_gone_once_the_side_is_halved_or_blurred():
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    images = (96 + 64 * board).to(torch.uint8).expand(4, 3, 16, 16)
    assert degraded(images, "downscale", 2, 256, seed=0).float()[..., 2:-2, 2:-2].std() < 2
    assert degraded(images, "blur", 1.4, 256, seed=0).float()[..., 4:-4, 4:-4].std() < 2
    assert images.float().std() > 30


def test_jpeg_is_the_codec_everybody_uses():
    images = pictures()
    assert torch.equal(degraded(images, "jpeg", 50, 256, seed=0), to_uint8(codec(to_float(images), 50)))
