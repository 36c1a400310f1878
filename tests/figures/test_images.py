from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from arena.core.errors import ArenaError
from arena.figures.axes import png
from arena.figures.images import (
    APART,
    CELL,
    COLUMNS,
    GAP,
    LABEL,
    mixed_photographs,
    mixing,
    read_mixing,
    read_rounds,
    rounds_of_images,
)
from tests.figures.drawable import LEVELS, words, write_grid


def picture(figure):
    return np.asarray(Image.open(BytesIO(png(figure))).convert("RGB"))


def enlarged(image):
    """An image (C, H, W) as it should be drawn, each pixel a square of whole pixels."""
    scale = max(1, round(CELL / image.shape[-1]))
    large = np.kron(image.transpose(1, 2, 0), np.ones((scale, scale, 1), np.uint8))
    return np.broadcast_to(large, (*large.shape[:2], 3))


def place(whole, image):
    """Top left corners of an enlarged image in the picture."""
    large = enlarged(image)
    side = len(large)
    first, last = whole[: -side + 1, : -side + 1] == large[0, 0], whole[side - 1 :, side - 1 :] == large[-1, -1]
    corners = np.argwhere((first & last).all(2))
    return [(y, x) for y, x in corners.tolist() if np.array_equal(whole[y : y + side, x : x + side], large)]


@pytest.mark.parametrize(("channels", "side"), [(1, 8), (3, 8), (3, 32), (1, 128)])
def test_every_pixel_is_a_square_of_whole_pixels(channels, side):
    rng = np.random.default_rng(0)
    rows = [(name, rng.integers(0, 256, (5, channels, side, side), dtype=np.uint8)) for name in ("reals", "round 0")]
    whole = picture(rounds_of_images(rows, columns=3))
    for row, (_, images) in enumerate(rows):
        for column in range(3):
            expected = enlarged(images[column])
            step = len(expected) + GAP
            top, left = row * (step + APART), LABEL + column * step
            shown = whole[top : top + len(expected), left : left + len(expected)]
            np.testing.assert_array_equal(shown, expected)


def test_reals_come_first_then_the_rounds_in_order(tmp_path):
    (tmp_path / "banks").mkdir()
    images = np.zeros((2, 1, 8, 8), np.uint8)
    np.savez(tmp_path / "banks" / "reals.npz", sample=images)
    for k in range(12):
        np.savez(tmp_path / "banks" / f"round_{k:02d}.npz", test=images)
    rows = read_rounds(tmp_path)
    assert [name for name, _ in rows] == words(rounds_of_images(rows)) == ["reals", *(f"round {k}" for k in range(12))]


def test_a_run_without_banks_has_neither_rows_nor_grid(tmp_path):
    assert read_rounds(tmp_path) == []
    assert read_mixing(tmp_path) is None


@pytest.mark.parametrize("content", [{"other": np.zeros((1, 1, 8, 8), np.uint8)}, {"test": np.zeros((1, 1, 8, 8))}])
def test_a_file_that_is_no_bank_is_named(tmp_path, content):
    (tmp_path / "banks").mkdir()
    np.savez(tmp_path / "banks" / "round_00.npz", **content)
    with pytest.raises(ArenaError, match=r"round_00\.npz: expected .*test"):
        read_rounds(tmp_path)


@pytest.mark.parametrize(("channels", "side", "across"), [(3, 16, 3), (3, 16, 1), (1, 8, 3)])
def test_a_mixture_stands_in_the_row_of_its_source_and_the_column_of_its_destination(tmp_path, channels, side, across):
    arrays = write_grid(tmp_path, 0, channels, side)
    grid = read_mixing(tmp_path)
    assert grid is not None
    whole = picture(mixing(grid, across))
    rows = [place(whole, source) for source in arrays["sources"]]
    columns = [place(whole, destination) for destination in arrays["destinations"]]
    for block, level in enumerate(LEVELS):
        for i, j in np.ndindex(2, 3):
            ((top, left),) = place(whole, arrays[level][i, j])
            assert rows[i][block][0] == top
            assert columns[j][block][1] == left
            assert rows[i][block][1] < left  # sources on the left
            assert columns[j][block][0] < top  # destinations on top


def test_the_last_round_is_drawn_and_says_what_was_done_to_it(tmp_path):
    for round_index in range(3):
        write_grid(tmp_path, round_index, psi=0.7 if round_index == 2 else 1.0)
    grid = read_mixing(tmp_path)
    assert grid is not None
    said = " ".join(words(mixing(grid)))
    assert "round 2, noise frozen, truncated by ψ = 0.7" in said
    for heading in ("coarse styles (4 to 8 px) of the source", "middle styles (16 px)", "fine styles (32 to 64 px)"):
        assert heading in said
    assert "truncated" not in " ".join(words(mixing(grid._replace(psi=1.0))))


@pytest.mark.parametrize(
    "changed",
    [
        {"sources": np.zeros((2, 3, 16, 16))},
        {"coarse": np.zeros((3, 2, 3, 16, 16), np.uint8)},
        {"sides": np.zeros((2, 2), np.int64)},
        {"destinations": np.zeros((3, 16, 16), np.uint8)},
    ],
)
def test_a_file_that_is_no_grid_is_named(tmp_path, changed):
    write_grid(tmp_path, 0, **changed)
    with pytest.raises(ArenaError, match=r"mixing_00\.npz: expected "):
        read_mixing(tmp_path)


def test_photographs_stand_in_rows_with_all_that_was_made_of_them():
    rng = np.random.default_rng(0)
    rows = [(name, rng.integers(0, 256, (len(COLUMNS), 3, 72, 72), dtype=np.uint8)) for name in ("Ada", "Bo")]
    figure = mixed_photographs(rows, "W+")
    assert {"Ada", "Bo", "mixed in W+, with the other's", *COLUMNS} <= {*words(figure)}
    assert picture(figure).shape[1] > len(COLUMNS) * 72
