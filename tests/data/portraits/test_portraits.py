from dataclasses import fields

import numpy as np
import pytest
import torch

from arena.core.machine import on_threads
from arena.data.portraits import portraits as module
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.portraits import Portraits, render_block


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    with on_threads(1):
        yield


def portraits(cache_dir, **changed):
    settings = {"resolution": 16, "n": 200, "seed": 0, "render_seed": 0, "planted_amplitude": 8.0}
    return Portraits(**{**settings, "cache_dir": cache_dir, **changed})


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_shapes_and_attributes(shared):
    reals = portraits(shared).reals
    assert reals.images.shape == (200, 3, 16, 16)
    assert reals.images.dtype == torch.uint8
    assert len(reals.images.flatten(1).unique(dim=0)) == 200
    assert set(reals.attributes) == {field.name for field in fields(FaceAttributes)}
    for name, values in reals.attributes.items():
        assert values.dtype == np.float32, name
        assert len(values) == 200, name
        assert np.isfinite(values).all(), name
        assert values.std(0).min() > 0.02, f"{name} does not vary"


def test_equal_seeds_give_equal_portraits_with_and_without_cache(shared, tmp_path):
    one, rendered, read = portraits(shared).reals, portraits(tmp_path).reals, portraits(tmp_path).reals
    assert torch.equal(one.images, rendered.images)
    assert torch.equal(one.images, read.images)
    for name in one.attributes:
        assert np.array_equal(one.attributes[name], read.attributes[name])


def test_the_data_seed_splits_and_does_not_render(shared, monkeypatch):
    one = portraits(shared, seed=0)
    one.setup()
    monkeypatch.setattr(module, "render_block", None)  # a second rendering would fail
    two = portraits(shared, seed=1)
    assert torch.equal(one.reals.images, two.reals.images)
    assert not np.array_equal(one.part("judge").ids, two.part("judge").ids)


def test_more_portraits_begin_with_the_same(tmp_path, shared):
    more = portraits(tmp_path, n=230).reals
    assert torch.equal(more.images[:200], portraits(shared).reals.images)


def test_another_render_seed_gives_other_portraits(shared):
    other, _ = render_block(16, 0, 1)
    assert (other != portraits(shared).reals.images[: len(other)]).flatten(1).any(1).all()


def test_every_resolution_shows_the_same_faces():
    large, faces = render_block(64, 0, 0)
    for resolution in (8, 16, 32):
        small, same = render_block(resolution, 0, 0)
        assert small.shape[1:] == (3, resolution, resolution)
        assert torch.equal(faces.yaw, same.yaw)
        reduced = torch.nn.functional.avg_pool2d(large.float(), 64 // resolution)
        own = (small.float() - reduced).abs().mean((1, 2, 3))
        other = (small.float() - reduced.roll(1, 0)).abs().mean((1, 2, 3))
        assert (own < other).all()
