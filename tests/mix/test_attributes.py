import csv
import math
from io import StringIO
from typing import ClassVar, cast

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console

from arena import __version__
from arena.core.errors import ArenaError
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.portraits import Portraits
from arena.data.reals import Reals
from arena.figures.tables import to_csv, to_latex
from arena.generators.style import StyleGenerator
from arena.mix import attributes
from arena.mix.attributes import (
    READABLE,
    AttributeShare,
    Regressor,
    attribute_table,
    fit_regressor,
    fresh_portraits,
    measure_transfer,
    print_attributes,
    tabulate_attributes,
)


class PixelGenerator:
    """A generator in which number k of the code of layer k is the grey level of pixel k."""

    z_dim, n_styles, levels = 3, 3, 256
    style_levels: ClassVar = {"coarse": slice(0, 1), "middle": slice(1, 2), "fine": slice(2, 3)}

    def mapping(self, z: torch.Tensor) -> torch.Tensor:
        return z

    def w_plus(self, code: torch.Tensor) -> torch.Tensor:
        return code[:, None].expand(-1, self.n_styles, -1)

    def images_of(self, code: torch.Tensor, noise: str) -> torch.Tensor:
        assert noise == "frozen"
        return code.diagonal(dim1=1, dim2=2)[:, None, :, None].mul(0.3).tanh()


class PixelRegressor:
    """A regressor of those pixels: pose is in the coarse layer, colour in the two others, and soul is unreadable."""

    r2: ClassVar = {"pose": 0.9, "colour": 0.8, "soul": READABLE - 0.01}
    error: ClassVar = {"pose": 0.1, "colour": 0.1, "soul": 1.0}

    def read(self, images: torch.Tensor) -> dict[str, np.ndarray]:
        values = images[:, 0, :, 0].numpy().astype(np.float32) / 40
        return {"pose": values[:, :1], "colour": values[:, 1:], "soul": values[:, :1]}


@pytest.fixture(scope="module")
def transfers():
    return measure_transfer(
        cast(StyleGenerator, PixelGenerator()), cast(Regressor, PixelRegressor()), pairs=600, seed=0
    )


def test_only_the_level_that_carries_an_attribute_transfers_it(transfers):
    pose, colour, _ = transfers
    assert pose.source["coarse"].value == 1
    assert pose.source["middle"].value == pose.source["fine"].value == 0
    assert 400 < pose.source["coarse"].pairs < 600  # pairs that hardly differ do not count
    assert colour.source["coarse"].value == 0
    for level in ("middle", "fine"):  # each moves one of its two pixels
        assert 0.3 < colour.source[level].value < 0.7


def test_chance_is_measured_with_an_unrelated_image(transfers):
    pose = transfers[0]
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


def test_unreadable_attributes_are_listed_and_not_tabulated(transfers):
    table = attribute_table(transfers)
    rows = {row["attribute"]: row for row in csv.DictReader(StringIO(to_csv(table)))}
    assert rows["pose"]["coarse"] == "1.000"
    assert rows["pose"]["readable"] == "yes"
    assert float(rows["colour"]["fine_low"]) < float(rows["colour"]["fine"]) < float(rows["colour"]["fine_high"])
    assert rows["soul"]["readable"] == "no"
    assert rows["soul"]["r2"] == "0.24"
    assert rows["soul"]["coarse"] == rows["soul"]["pairs"] == ""
    assert to_latex(table).count(r"\\") == 4
    console = Console(width=120, record=True, quiet=False, file=StringIO())
    print_attributes(transfers, console)
    text = console.export_text()
    assert "pose" in text
    assert "soul 0.24" in text.splitlines()[-1]


def test_the_regressors_portraits_are_not_in_the_race(tmp_path, monkeypatch):
    monkeypatch.setattr(attributes, "TRAIN", 40)
    monkeypatch.setattr(attributes, "HELD_OUT", 8)
    settings = {"resolution": 8, "n": 64, "seed": 0, "render_seed": 5, "planted_amplitude": 8.0}
    settings |= {"cache_dir": str(tmp_path / "cache")}
    config = {"data": {"_target_": "arena.data.portraits.portraits.Portraits"} | settings}
    config |= {"environment": {"arena_version": __version__}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    train, held_out = fresh_portraits(tmp_path)
    assert (len(train), len(held_out)) == (40, 8)
    again, _ = fresh_portraits(tmp_path)  # from the cache
    assert list(train.attributes) == list(again.attributes) == list(FaceAttributes.draw(1, torch.Generator()).columns())
    np.testing.assert_array_equal(again.attributes["eye_colour"], train.attributes["eye_colour"])
    own = Portraits(**settings).load().images
    distinct = {image.numpy().tobytes() for image in torch.cat([own, train.images, held_out.images])}
    assert len(distinct) == 64 + 48


@pytest.mark.slow
def test_runs_and_arguments_that_do_not_fit_are_refused(finished):
    with pytest.raises(ArenaError, match="data=Digits: expected Portraits"):
        tabulate_attributes(finished.run, Console(quiet=True))
    with pytest.raises(ArenaError, match="--pairs=1: expected at least 2"):
        tabulate_attributes(finished.run, Console(quiet=True), pairs=1)
    assert not (finished.run / "mixing").exists()


def planted(n: int, side: int, seed: int) -> Reals:
    """Images with a visible brightness of one number, a visible tint of three, and an invisible third attribute."""
    rng = np.random.default_rng(seed)
    brightness, tint = rng.uniform(60, 190, n), rng.uniform(-40, 40, (n, 3))
    pixels = (brightness[:, None] + tint)[:, :, None, None] + rng.normal(0, 5, (n, 3, side, side))
    attributes = {"brightness": brightness, "tint": tint, "secret": rng.normal(size=n)}
    attributes = {name: values.astype(np.float32) for name, values in attributes.items()}
    images = torch.from_numpy(pixels.clip(0, 255).astype(np.uint8))
    return Reals(images, np.arange(n), attributes)


@pytest.mark.slow
@pytest.mark.parametrize("side", [8, 32])
def test_visible_attributes_are_read_and_accuracy_is_that_of_held_out_reals(side):
    train, held_out = planted(128, side, 0), planted(128, side, 1)
    regressor = fit_regressor(train, held_out, seed=0, images=1_600)
    assert regressor.r2["brightness"] > 0.6
    assert regressor.r2["secret"] < 0.2
    read = regressor.read(held_out.images)
    assert {name: values.shape[1] for name, values in read.items()} == {"brightness": 1, "tint": 3, "secret": 1}
    true = train.attributes["tint"]
    wanted = (held_out.attributes["tint"] - true.mean(0)) / np.sqrt(true.var(0).mean())  # one unit for a colour
    missed = np.linalg.norm(read["tint"] - wanted, axis=1)
    assert regressor.error["tint"] == pytest.approx(np.sqrt((missed**2).mean()), rel=1e-3)
    assert regressor.r2["tint"] == pytest.approx(1 - (missed**2).mean() / wanted.var(0).sum(), abs=1e-3)
    # Reading an image does not depend on its batch.
    np.testing.assert_allclose(regressor.read(held_out.images[5:6])["tint"], read["tint"][5:6], atol=1e-4)
