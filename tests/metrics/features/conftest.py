import pytest

from arena.data.digits import Digits


@pytest.fixture(scope="session")
def digits():
    return Digits(resolution=8, seed=0, planted_amplitude=2).reals.images
