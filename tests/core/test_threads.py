import pytest
import torch

from arena.core.threads import as_many_as_pay, on_threads


@pytest.fixture(autouse=True)
def two():
    with on_threads(2):
        yield


@pytest.mark.parametrize(("resolution", "threads"), [(8, 1), (15, 1), (16, 2), (64, 2)])
def test_tiny_images_get_one_thread_and_others_all(resolution, threads):
    with as_many_as_pay(resolution):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_an_error_gives_them_back():
    with pytest.raises(ZeroDivisionError), on_threads(1):
        _ = 1 / 0
    assert torch.get_num_threads() == 2
