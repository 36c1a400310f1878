from dataclasses import fields, replace

import pytest
import torch

from arena.core.machine import on_threads
from arena.data.portraits.attributes import FaceAttributes
from arena.data.portraits.camera import Camera
from arena.data.portraits.render import paint_portraits


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    with on_threads(1):
        yield


def photograph(faces, resolution=32):
    """Photograph faces without noise, with the same strands and blotches each time."""
    camera = Camera(resolution, pattern=0.0, read_noise=0.0, full_well=1e9)
    rng = torch.Generator().manual_seed(1)
    return camera.photograph(paint_portraits(faces, 2 * resolution, rng), rng).float()


@pytest.fixture(scope="module")
def faces():
    return FaceAttributes.draw(32, torch.Generator().manual_seed(7))


@pytest.mark.slow
@pytest.mark.parametrize("name", [field.name for field in fields(FaceAttributes)])
def test_every_attribute_is_visible_at_32_pixels(faces, name):
    values = getattr(faces, name)
    low, high = (torch.quantile(values, q, 0).expand_as(values) for q in (0.05, 0.95))
    one, two = (photograph(replace(faces, **{name: value})) for value in (low, high))
    somewhere = (one - two).abs().amax((1, 2, 3))  # grey levels
    assert somewhere.max() > 8
    assert somewhere.mean() > 1


def centre(images):
    return images[:, :, 14:22, 12:20].mean((1, 2, 3))


def frontal(faces, **changed):
    still = {"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "hair_fringe": 0.0, "glasses": 0.0, "beard": 0.0, **changed}
    same = {name: torch.full_like(getattr(faces, name), value) for name, value in still.items()}
    return replace(faces, position=torch.zeros(32, 2), **same)


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
def test_attributes_change_the_picture_as_they_say(faces, name, low, high, measure):
    dark_haired = replace(faces, hair_colour=torch.full((32, 3), 0.08), light=torch.zeros(32, 2))
    less, more = (measure(photograph(frontal(dark_haired, **{name: value}))) for value in (low, high))
    assert (more > less).all()


def test_light_comes_from_its_direction(faces):
    def leaning(side):
        lit = replace(faces, light=torch.tensor([[side, 0.0]]).expand(32, 2))
        images = photograph(frontal(lit))[:, :, 14:24]
        return images[..., 17:20].mean((1, 2, 3)) - images[..., 12:15].mean((1, 2, 3))

    assert (leaning(1.0) > leaning(-1.0)).all()


def test_long_hair_falls_beside_the_neck(faces):
    def beside(length):
        white = replace(faces, background=torch.ones(32, 3), background_far=torch.ones(32, 3))
        black = replace(white, hair_colour=torch.full((32, 3), 0.05))
        return photograph(frontal(black, hair_length=length, hair_volume=0.5))[:, :, 20:25, 7:26].mean((1, 2, 3))

    assert (beside(1.0) < beside(0.2)).all()


def test_eyes_have_their_colour(faces):
    def blueness(colour):
        eyes = replace(faces, eye_colour=torch.tensor([colour]).expand(32, 3))
        images = photograph(frontal(eyes, eye_open=1.0), 64)[:, :, 26:36, 14:50]
        return (images[:, 2] - images[:, 0]).mean((1, 2))

    assert (blueness([0.2, 0.4, 0.9]) > blueness([0.4, 0.2, 0.1])).all()


def test_one_portrait_does_not_depend_on_the_others(faces):
    """Changing the attributes of one face leaves the others as they were."""
    changed = replace(faces, skin_tone=faces.skin_tone.clone().index_fill_(0, torch.tensor([3]), 0.5))
    same = (photograph(faces) == photograph(changed)).flatten(1).all(1)
    assert same.tolist() == [k != 3 for k in range(32)]
