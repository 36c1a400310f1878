from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from arena.core.errors import ArenaError
from arena.figures.axes import png
from arena.figures.draw import draw_all
from arena.figures.images import CELL
from arena.figures.mixing import COLUMNS, mixed_photographs, mixing, read_mixing
from tests.figures.drawable import drawable_run

LEVELS = ("coarse", "middle", "fine")


def write_grid(run, round_index, channels=3, side=16, psi=0.7, **changed):
    """A grid of noise: no two images are alike."""
    rng = np.random.default_rng(round_index)

    def noise(*shape):
        return rng.integers(0, 256, (*shape, channels, side, side), dtype=np.uint8)

    arrays: dict[str, Any] = {"sources": noise(2), "destinations": noise(3)} | {level: noise(2, 3) for level in LEVELS}
    arrays |= {"sides": np.array([[4, 8], [16, 16], [32, 64]]), "psi": np.array(psi)}
    (run / "banks").mkdir(parents=True, exist_ok=True)
    np.savez(run / "banks" / f"mixing_{round_index:02d}.npz", **(arrays | changed))
    return arrays


def picture(figure):
    return np.asarray(Image.open(BytesIO(png(figure))).convert("RGB"))


def place(whole, image, side):
    """Top left corners of an enlarged image in the picture."""
    scale = max(1, round(CELL / side))
    large = np.kron(image.transpose(1, 2, 0), np.ones((scale, scale, 1), np.uint8))
    large = np.broadcast_to(large, (*large.shape[:2], 3))
    corners = np.argwhere((whole[: -len(large) + 1, : -len(large) + 1] == large[0, 0]).all(2))
    return [
        (int(top), int(left))
        for top, left in corners
        if np.array_equal(whole[top : top + len(large), left : left + len(large)], large)
    ]


@pytest.mark.parametrize(("channels", "side", "across"), [(3, 16, 3), (3, 16, 1), (1, 8, 3)])
def test_a_mixture_stands_in_the_row_of_its_source_and_the_column_of_its_destination(tmp_path, channels, side, across):
    arrays = write_grid(tmp_path, 0, channels, side)
    grid = read_mixing(tmp_path)
    assert grid is not None
    whole = picture(mixing(grid, across))
    rows = [place(whole, source, side) for source in arrays["sources"]]
    columns = [place(whole, destination, side) for destination in arrays["destinations"]]
    for block, level in enumerate(LEVELS):
        for i, j in np.ndindex(2, 3):
            ((top, left),) = place(whole, arrays[level][i, j], side)
            assert rows[i][block][0] == top
            assert columns[j][block][1] == left
            assert rows[i][block][1] < left  # sources on the left
            assert columns[j][block][0] < top  # destinations on top


def test_the_last_round_is_drawn_and_says_what_was_done_to_it(tmp_path):
    for round_index in range(3):
        write_grid(tmp_path, round_index, psi=0.7 if round_index == 2 else 1.0)
    grid = read_mixing(tmp_path)
    assert grid is not None
    words = " ".join(text.get_text() for text in mixing(grid).texts)
    assert "round 2, noise frozen, truncated by ψ = 0.7" in words
    for heading in ("coarse styles (4 to 8 px) of the source", "middle styles (16 px)", "fine styles (32 to 64 px)"):
        assert heading in words
    assert "truncated" not in " ".join(text.get_text() for text in mixing(grid._replace(psi=1.0)).texts)


def test_it_is_among_the_figures_of_a_run_that_has_it(tmp_path):
    run = drawable_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5})
    assert read_mixing(run) is None
    write_grid(run, 0)
    written = {path.name for path in draw_all(run, tmp_path / "out")}
    assert {"mixing.png", "mixing.pdf"} < written


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
    assert {"Ada", "Bo", "mixed in W+, with the other's", *COLUMNS} <= {text.get_text() for text in figure.texts}
    assert picture(figure).shape[1] > len(COLUMNS) * 72
