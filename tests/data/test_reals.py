import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from arena.core.errors import ArenaError
from arena.data.digits import Digits
from arena.data.reals import Reals


def test_the_digits_end_with_those_of_scikit_learn():
    reals = Digits(resolution=8, seed=0, planted_amplitude=2).reals
    ink, digit = load_digits(return_X_y=True)
    assert reals.images.shape == (5620, 1, 8, 8)
    assert reals.images.dtype == torch.uint8
    last = np.rint(reals.images[-len(digit) :, 0].numpy() / 255 * 16)
    assert np.array_equal(last, np.reshape(ink, (-1, 8, 8)))
    assert np.array_equal(reals.attributes["digit"][-len(digit) :], digit)
    assert len({image.numpy().tobytes() for image in reals.images}) == 5620


def test_parts_keep_images_ids_and_attributes_together():
    data = Digits(resolution=8, seed=5, planted_amplitude=2, locked=0.2)
    judge = data.part("judge")
    assert len(data.part("locked")) == 1124  # a fifth
    assert len(judge) == 1889  # 42% of the rest
    assert torch.equal(judge.images, data.reals.images[torch.from_numpy(judge.ids)])
    assert np.array_equal(judge.attributes["digit"], data.reals.attributes["digit"][judge.ids])


def test_splitting_off_keeps_persons_whole():
    persons = np.repeat(np.arange(20), 5)
    reals = Reals(torch.zeros(100, 1, 8, 8, dtype=torch.uint8), np.arange(100), persons=persons)
    few, others = reals.split_off(30, np.random.default_rng(0))
    assert sorted([*few.ids, *others.ids]) == list(range(100))
    assert len(few) == 30
    assert few.persons is not None
    assert others.persons is not None
    assert not set(few.persons) & set(others.persons)


def test_reals_without_others_share_no_image_and_no_person_with_them():
    persons = np.repeat(np.arange(20), 5)
    reals = Reals(torch.zeros(100, 1, 8, 8, dtype=torch.uint8), np.arange(100), persons=persons)
    some = reals[np.array([7, 8, 50])]
    assert reals.without(some).ids.tolist() == [*range(5), *range(10, 50), *range(55, 100)]
    unknown = Reals(reals.images, reals.ids)
    assert unknown.without(some).ids.tolist() == [n for n in range(100) if n not in (7, 8, 50)]
    assert len(reals.without(reals)) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"resolution": 20}, "data.resolution=20: expected a power of two, at least 8"),
        ({"resolution": 4}, "data.resolution=4: expected a power of two, at least 8"),
        ({"planted_amplitude": 17}, "data.planted_amplitude=17: expected a whole number .* 1 to 16"),
        ({"planted_amplitude": 1.5}, "data.planted_amplitude=1.5: expected a whole number"),
    ],
)
def test_impossible_settings_name_their_key(changed, message):
    with pytest.raises(ArenaError, match=message):
        Digits(**{"resolution": 8, "seed": 0, "planted_amplitude": 2} | changed)
