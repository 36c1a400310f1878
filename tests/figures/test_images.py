from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from arena.core.errors import ArenaError
from arena.figures.axes import png
from arena.figures.images import APART, CELL, GAP, LABEL, read_rounds, rounds_of_images
from tests.figures.drawable import drawable_run


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 8), (3, 32), (1, 128)])
def test_every_pixel_is_a_square_of_whole_pixels(channels, side):
    rng = np.random.default_rng(0)
    rows = [(name, rng.integers(0, 256, (5, channels, side, side), dtype=np.uint8)) for name in ("reals", "round 0")]
    picture = np.asarray(Image.open(BytesIO(png(rounds_of_images(rows, columns=3)))).convert("RGB"))
    scale = max(1, round(CELL / side))
    step = scale * side + GAP
    for row, (_, images) in enumerate(rows):
        for column in range(3):
            top, left = row * (step + APART), LABEL + column * step
            shown = picture[top : top + scale * side, left : left + scale * side]
            expected = np.kron(images[column].transpose(1, 2, 0), np.ones((scale, scale, 1), np.uint8))
            np.testing.assert_array_equal(shown, np.broadcast_to(expected, shown.shape))


def test_reals_come_first_then_the_rounds_in_order(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=11, techniques={"cnn": 0.5})
    names = [name for name, _ in read_rounds(run)]
    assert names == ["reals", *(f"round {k}" for k in range(12))]
    figure = rounds_of_images(read_rounds(run))
    assert [text.get_text() for text in figure.texts] == names


def test_a_run_without_banks_has_no_rows(tmp_path):
    assert read_rounds(tmp_path) == []


@pytest.mark.parametrize("content", [{"other": np.zeros((1, 1, 8, 8), np.uint8)}, {"test": np.zeros((1, 1, 8, 8))}])
def test_a_file_that_is_no_bank_is_named(tmp_path, content):
    (tmp_path / "banks").mkdir()
    np.savez(tmp_path / "banks" / "round_00.npz", **content)
    with pytest.raises(ArenaError, match=r"round_00\.npz: expected .*test"):
        read_rounds(tmp_path)
