import numpy as np
import torch
from sklearn.datasets import load_digits

from arena.data.digits import Digits


def test_images_are_those_of_scikit_learn():
    reals = Digits(resolution=8, seed=0, planted_amplitude=2).reals
    ink, digit = load_digits(return_X_y=True)
    assert reals.images.shape == (1797, 1, 8, 8)
    assert reals.images.dtype == torch.uint8
    assert np.array_equal(np.rint(reals.images[:, 0].numpy() / 255 * 16), np.reshape(ink, (-1, 8, 8)))
    assert np.array_equal(reals.attributes["digit"], digit)
