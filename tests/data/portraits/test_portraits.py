from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from arena.core.errors import ArenaError
from arena.core.threads import on_threads
from arena.data.portraits import portraits as module
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.camera import Camera
from arena.data.portraits.portraits import Portraits, render
from arena.data.portraits.render import paint


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    with on_threads(1):
        yield


def portraits(cache_dir, **changed):
    settings = {
        "resolution": 16,
        "n": 200,
        "seed": 0,
        "render_seed": 0,
        "planted_amplitude": 8.0,
        "cache_dir": cache_dir,
    }
    return Portraits(**{**settings, **changed})


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_shapes_and_attributes(shared):
    reals = portraits(shared).reals
    assert reals.images.shape == (200, 3, 16, 16)
    assert reals.images.dtype == torch.uint8
    assert set(reals.attributes) == {field.name for field in fields(FaceAttributes)}
    for name, values in reals.attributes.items():
        assert values.dtype == np.float32, name
        assert len(values) == 200, name
        assert np.isfinite(values).all(), name
        assert values.std(0).min() > 0.02, f"{name} does not vary"


def test_nobody_sits_twice(shared):
    images = portraits(shared).reals.images.flatten(1)
    assert len(images.unique(dim=0)) == len(images)


def test_same_seeds_same_portraits_whatever_is_cached(shared, tmp_path):
    one, two = portraits(shared).reals, portraits(tmp_path).reals
    assert torch.equal(one.images, two.images)
    again = portraits(tmp_path).reals
    assert torch.equal(one.images, again.images)
    for name in one.attributes:
        assert np.array_equal(one.attributes[name], again.attributes[name])


def test_data_seed_splits_and_does_not_render(shared, monkeypatch):
    one = portraits(shared, seed=0)
    one.setup()
    monkeypatch.setattr(module, "render", None)  # a second rendering would fail
    two = portraits(shared, seed=1)
    assert torch.equal(one.reals.images, two.reals.images)
    assert not np.array_equal(one.part("judge").ids, two.part("judge").ids)


def test_more_portraits_begin_with_the_same(tmp_path, shared):
    more = portraits(tmp_path, n=230).reals
    assert torch.equal(more.images[:200], portraits(shared).reals.images)


def test_another_render_seed_is_another_exhibition(shared):
    other, _ = render(16, 0, 1)
    assert (other != portraits(shared).reals.images[: len(other)]).flatten(1).any(1).all()


def test_every_resolution_shows_the_same_sitters():
    large, who = render(64, 0, 0)
    for resolution in (8, 16, 32):
        small, same = render(resolution, 0, 0)
        assert small.shape[1:] == (3, resolution, resolution)
        assert torch.equal(who.yaw, same.yaw)
        reduced = torch.nn.functional.avg_pool2d(large.float(), 64 // resolution)
        errors = (small.float() - reduced).abs().mean((1, 2, 3))
        strangers = (small.float() - reduced.roll(1, 0)).abs().mean((1, 2, 3))
        assert (errors < strangers).all()


@pytest.mark.parametrize("wrong", [{"resolution": 4}, {"resolution": 24}, {"resolution": 256}, {"n": 0}])
def test_impossible_values_name_their_key(wrong, tmp_path):
    (key,) = wrong
    with pytest.raises(ArenaError, match=f"data.{key}={wrong[key]}"):
        portraits(tmp_path, **wrong)


def test_too_few_portraits_for_the_splits(tmp_path):
    with pytest.raises(ArenaError, match="100 usable images"):
        portraits(tmp_path, n=100).setup()


# -- what an attribute does to the picture ----------------------------------------------------------------------------


def photograph(sitters, resolution=32):
    """Without noise, and with the same strands and blotches each time."""
    camera = Camera(resolution, pattern=0.0, read_noise=0.0, full_well=1e9)
    rng = torch.Generator().manual_seed(1)
    return camera.photograph(paint(sitters, 2 * resolution, rng), rng).float()


@pytest.fixture(scope="module")
def sitters():
    return FaceAttributes.draw(32, torch.Generator().manual_seed(7))


@pytest.mark.parametrize("name", [field.name for field in fields(FaceAttributes)])
def test_every_attribute_is_visible_at_32_pixels(sitters, name):
    values = getattr(sitters, name)
    low, high = (torch.quantile(values, q, 0).expand_as(values) for q in (0.05, 0.95))
    one, two = (photograph(replace(sitters, **{name: value})) for value in (low, high))
    somewhere = (one - two).abs().amax((1, 2, 3))  # grey levels
    assert somewhere.max() > 8
    assert somewhere.mean() > 1


def centre(images):
    return images[:, :, 14:22, 12:20].mean((1, 2, 3))


def frontal(sitters, **changed):
    still = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "hair_fringe": 0.0, "glasses": 0.0, "beard": 0.0, **changed}
    same = {name: torch.full_like(getattr(sitters, name), value) for name, value in still.items()}
    return replace(sitters, position=torch.zeros(32, 2), **same)


@pytest.mark.parametrize(
    ("name", "low", "high", "measure"),
    [
        ("skin_tone", 1.0, 0.0, centre),
        ("exposure", 0.85, 1.15, lambda images: images.mean((1, 2, 3))),
        ("beard", 1.0, 0.0, lambda images: images[:, :, 24:27, 13:19].mean((1, 2, 3))),
        ("lip_colour", 0.0, 1.0, lambda images: (images[:, 0] - images[:, 1])[:, 20:25, 13:19].mean((1, 2))),
        ("skin_hue", 1.0, -1.0, lambda images: images[:, 2, 14:22, 12:20].mean((1, 2))),
    ],
)
def test_attributes_mean_what_they_say(sitters, name, low, high, measure):
    dark_haired = replace(sitters, hair_colour=torch.full((32, 3), 0.08), light=torch.zeros(32, 2))
    less, more = (measure(photograph(frontal(dark_haired, **{name: value}))) for value in (low, high))
    assert (more > less).all()


def test_light_comes_from_where_it_stands(sitters):
    def leaning(side):
        lit = replace(sitters, light=torch.tensor([[side, 0.0]]).expand(32, 2))
        images = photograph(frontal(lit))[:, :, 14:24]
        return images[..., 17:20].mean((1, 2, 3)) - images[..., 12:15].mean((1, 2, 3))

    assert (leaning(1.0) > leaning(-1.0)).all()


def test_long_hair_falls_beside_the_neck(sitters):
    def beside(length):
        white = replace(sitters, background=torch.ones(32, 3), background_far=torch.ones(32, 3))
        black = replace(white, hair_colour=torch.full((32, 3), 0.05))
        return photograph(frontal(black, hair_length=length, hair_volume=0.5))[:, :, 20:25, 7:26].mean((1, 2, 3))

    assert (beside(1.0) < beside(0.2)).all()


def test_eyes_have_their_colour(sitters):
    def blueness(colour):
        eyes = replace(sitters, eye_colour=torch.tensor([colour]).expand(32, 3))
        images = photograph(frontal(eyes, eye_open=1.0), 64)[:, :, 26:36, 14:50]
        return (images[:, 2] - images[:, 0]).mean((1, 2))

    assert (blueness([0.2, 0.4, 0.9]) > blueness([0.4, 0.2, 0.1])).all()


def test_one_portrait_does_not_depend_on_the_others(sitters):
    """Each is painted in its own frame: exchanging the attributes of one leaves its neighbours as they were."""
    changed = replace(sitters, skin_tone=sitters.skin_tone.clone().index_fill_(0, torch.tensor([3]), 0.5))
    same = (photograph(sitters) == photograph(changed)).flatten(1).all(1)
    assert same.tolist() == [k != 3 for k in range(32)]
