import numpy as np
import pytest
import torch

from arena.data.reals import Reals
from arena.mix.attributes import fit_regressor


def planted(n: int, side: int, seed: int) -> Reals:
    """Brightness is an attribute of one number, a tint of three; the third attribute nobody can see."""
    rng = np.random.default_rng(seed)
    brightness, tint = rng.uniform(60, 190, n), rng.uniform(-40, 40, (n, 3))
    pixels = (brightness[:, None] + tint)[:, :, None, None] + rng.normal(0, 5, (n, 3, side, side))
    attributes = {"brightness": brightness, "tint": tint, "secret": rng.normal(size=n)}
    attributes = {name: values.astype(np.float32) for name, values in attributes.items()}
    images = torch.from_numpy(pixels.clip(0, 255).astype(np.uint8))
    return Reals(images, np.arange(n), attributes)


@pytest.mark.parametrize("side", [8, 32])
def test_what_can_be_seen_is_read_and_what_cannot_is_told(side):
    train, held_out = planted(128, side, 0), planted(128, side, 1)
    regressor = fit_regressor(train, held_out, seed=0, images=1_600)
    assert regressor.r2["brightness"] > 0.6
    assert regressor.r2["secret"] < 0.2
    read = regressor.read(held_out.images)
    assert {name: values.shape for name, values in read.items()} == {
        "brightness": (128, 1),
        "tint": (128, 3),
        "secret": (128, 1),
    }
    true = train.attributes["tint"]
    wanted = (held_out.attributes["tint"] - true.mean(0)) / np.sqrt(true.var(0).mean())  # one unit for all of a colour
    missed = np.linalg.norm(read["tint"] - wanted, axis=1)
    assert regressor.error["tint"] == pytest.approx(np.sqrt((missed**2).mean()), rel=1e-3)
    assert regressor.r2["tint"] == pytest.approx(1 - (missed**2).mean() / wanted.var(0).sum(), abs=1e-3)


def test_an_image_is_read_alone_as_among_others():
    reals = planted(64, 8, 0)
    regressor = fit_regressor(reals, reals, seed=0, images=640)
    together = regressor.read(reals.images)["tint"]
    np.testing.assert_allclose(regressor.read(reals.images[5:6])["tint"], together[5:6], atol=1e-5)
