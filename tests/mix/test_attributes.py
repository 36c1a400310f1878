import csv
import math
from io import StringIO
from typing import ClassVar, cast

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from arena.core.errors import ArenaError
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.portraits import Portraits
from arena.figures.tables import to_csv, to_latex
from arena.generators.style import StyleGenerator
from arena.mix import attributes
from arena.mix.attributes import READABLE, AttributeShare, Regressor, attribute_table, carried, fresh_portraits, show


class Painter:
    """Number k of the code of layer k is the grey level of pixel k: what carries what is known."""

    z_dim, n_styles, levels = 3, 3, 256
    style_levels: ClassVar = {"coarse": slice(0, 1), "middle": slice(1, 2), "fine": slice(2, 3)}

    def mapping(self, z: torch.Tensor) -> torch.Tensor:
        return z

    def images_of(self, code: torch.Tensor, noise: str) -> torch.Tensor:
        assert noise == "frozen"
        return code.diagonal(dim1=1, dim2=2)[:, None, :, None].mul(0.3).tanh()


class Reader:
    """Reads those pixels: pose is in the coarse layer, colour in both others, the rest nobody reads."""

    r2: ClassVar = {"pose": 0.9, "colour": 0.8, "soul": READABLE - 0.01}
    error: ClassVar = {"pose": 0.1, "colour": 0.1, "soul": 1.0}

    def read(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        values = images[:, 0, :, 0].numpy().astype(np.float32) / 40
        return {"pose": values[:, :1], "colour": values[:, 1:], "soul": values[:, :1]}


@pytest.fixture(scope="module")
def found():
    return carried(cast(StyleGenerator, Painter()), cast(Regressor, Reader()), pairs=600, seed=0)


def test_the_level_that_carries_an_attribute_always_wins_it_and_no_other_does(found):
    pose = found[0]
    assert pose.source["coarse"].value == 1
    assert pose.source["middle"].value == pose.source["fine"].value == 0
    assert 400 < pose.source["coarse"].pairs < 600  # those hardly different do not count


def test_an_attribute_of_two_levels_is_won_by_each_about_half_the_time(found):
    colour = found[1]
    assert 0.3 < colour.source["middle"].value < 0.7
    assert 0.3 < colour.source["fine"].value < 0.7
    assert colour.source["coarse"].value == 0


def test_chance_is_what_a_level_does_for_somebody_unrelated(found):
    pose = found[0]
    assert 0.3 < pose.chance["coarse"].value < 0.7  # the mixed image has the source's pose, nearer to either
    assert pose.chance["fine"].value == 0  # it kept the destination's


def test_the_interval_is_wilsons():
    share = AttributeShare.of(np.array([True] * 8 + [False] * 2))
    assert (share.value, share.pairs) == (0.8, 10)
    # Newcombe (1998), Statistics in Medicine 17, method 3, by its formula.
    z, p, n = 1.959964, 0.8, 10
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert share.low == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-6)
    assert share.high == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-6)
    assert math.isnan(AttributeShare.of(np.zeros(0, dtype=bool)).value)


def test_what_cannot_be_read_is_said_and_not_tabled(found):
    table = attribute_table(found)
    rows = {row["attribute"]: row for row in csv.DictReader(StringIO(to_csv(table)))}
    assert rows["pose"]["coarse"] == "1.000"
    assert rows["pose"]["readable"] == "yes"
    assert float(rows["colour"]["fine_low"]) < float(rows["colour"]["fine"]) < float(rows["colour"]["fine_high"])
    assert rows["soul"]["readable"] == "no"
    assert rows["soul"]["r2"] == "0.24"
    assert rows["soul"]["coarse"] == rows["soul"]["pairs"] == ""
    assert to_latex(table).count(r"\\") == 4
    console = Console(width=120, record=True, quiet=False, file=StringIO())
    show(found, console)
    said = console.export_text()
    assert "pose" in said
    assert "soul 0.24" in said.splitlines()[-1]


def test_the_regressors_portraits_are_nobodys_in_the_race(tmp_path, monkeypatch):
    monkeypatch.setattr(attributes, "TRAIN", 40)
    monkeypatch.setattr(attributes, "HELD_OUT", 8)
    settings = {"resolution": 8, "n": 64, "seed": 0, "render_seed": 5, "planted_amplitude": 8.0}
    settings |= {"cache_dir": str(tmp_path / "cache")}
    config = {"data": {"_target_": "arena.data.portraits.portraits.Portraits"} | settings}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    train, held_out = fresh_portraits(tmp_path)
    assert (len(train), len(held_out)) == (40, 8)
    again, _ = fresh_portraits(tmp_path)  # from the cache
    assert list(train.attributes) == list(again.attributes) == list(FaceAttributes.draw(1, torch.Generator()).columns())
    np.testing.assert_array_equal(again.attributes["eye_colour"], train.attributes["eye_colour"])
    own = Portraits(**settings).load().images
    everyone = {image.numpy().tobytes() for image in torch.cat([own, train.images, held_out.images])}
    assert len(everyone) == 64 + 48


def test_data_without_attributes_is_named(finished):
    with pytest.raises(ArenaError, match="data=Digits: expected Portraits"):
        fresh_portraits(finished.run)
