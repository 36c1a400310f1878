from pathlib import Path

import pytest
import torch

from arena.core.errors import ArenaError
from arena.generators.discriminator import MinibatchDeviation, ResidualDiscriminator
from tests.building import tiny_arena


def build(group: int = 0) -> ResidualDiscriminator:
    torch.manual_seed(0)
    return ResidualDiscriminator(resolution=16, channels=1, width=8, group=group)


def test_with_the_minibatch_deviation_a_logit_depends_on_its_own_group_alone() -> None:
    discriminator, images = build(group=4), torch.randn(8, 1, 16, 16)
    changed = images.clone()
    changed[3] += 1
    moved = discriminator(images) - discriminator(changed)
    assert (moved[:4].abs() > 1e-6).all()
    torch.testing.assert_close(moved[4:], torch.zeros(4), rtol=0, atol=1e-6)


def test_the_minibatch_deviation_is_the_mean_deviation_over_each_group() -> None:
    x = torch.randn(8, 3, 4, 4)
    out = MinibatchDeviation(4)(x)
    assert torch.equal(out[:, :3], x)
    for group in (slice(0, 4), slice(4, 8)):
        expected = x[group].std(0, unbiased=False).mean()
        torch.testing.assert_close(out[group, 3], expected.expand(4, 4, 4))


@pytest.mark.parametrize("batch", [4, 20, 64])
def test_reals_get_the_same_deviation_alone_and_followed_by_as_many_fakes(batch: int) -> None:
    # The step of the discriminator has reals first and fakes after, that of the generator either alone.
    reals, fakes, layer = torch.randn(batch, 2, 4, 4), 3 * torch.randn(batch, 2, 4, 4), MinibatchDeviation(4)
    torch.testing.assert_close(layer(torch.cat([reals, fakes])), torch.cat([layer(reals), layer(fakes)]))


def test_groups_that_do_not_divide_the_batch_are_refused(run: Path) -> None:
    with pytest.raises(ArenaError, match=r"^generator\.minibatch_group=3: expected a divisor of schedule\.batch="):
        tiny_arena(run, "generator.minibatch_group=3")


def test_logits_are_fp32_under_autocast() -> None:
    images = torch.randn(4, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        logits = build()(images)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, build()(images), rtol=0.1, atol=0.1)


def test_logits_depend_on_patterns_that_alternate_from_pixel_to_pixel() -> None:
    # Averaging is linear, and alone would remove a checkerboard before any nonlinearity.
    discriminator = build()
    column = 1.0 - 2.0 * (torch.arange(16) % 2)
    board = 0.5 * (column[:, None] * column)[None, None]
    assert (discriminator(board) - discriminator(torch.zeros_like(board))).abs() > 1e-2
