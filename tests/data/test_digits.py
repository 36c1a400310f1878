import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from arena.core.errors import ArenaError
from arena.data.digits import Digits


def test_images_are_scikit_learns():
    reals = Digits(resolution=8, seed=0, planted_amplitude=2).reals
    ink, digit = load_digits(return_X_y=True)
    assert reals.images.shape == (1797, 1, 8, 8)
    assert reals.images.dtype == torch.uint8
    assert np.array_equal(np.rint(reals.images[:, 0].numpy() / 255 * 16), np.reshape(ink, (-1, 8, 8)))
    assert np.array_equal(reals.attributes["digit"], digit)


def test_parts_keep_ids_and_attributes_together():
    data = Digits(resolution=8, seed=5, planted_amplitude=2)
    judge = data.part("judge")
    assert len(judge) == 539  # three tenths
    assert torch.equal(judge.images, data.reals.images[torch.from_numpy(judge.ids)])
    assert np.array_equal(judge.attributes["digit"], data.reals.attributes["digit"][judge.ids])


def test_loaders_serve_disjoint_parts():
    data = Digits(resolution=8, seed=0, planted_amplitude=2)
    data.prepare_data()
    data.setup()
    sizes = [
        sum(len(images) for (images,) in loader)
        for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    ]
    assert sizes == [len(data.part(name)) for name in ("generator", "reference", "judge")]


def test_no_other_resolution():
    with pytest.raises(ArenaError, match=r"data\.resolution=16"):
        Digits(resolution=16, seed=0, planted_amplitude=2)
