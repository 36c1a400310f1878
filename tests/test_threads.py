import pytest
import torch

from arena.threads import as_many_as_pay


@pytest.fixture(autouse=True)
def two():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("resolution", "threads"), [(8, 1), (15, 1), (16, 2), (64, 2)])
def test_tiny_images_get_one_thread_and_others_all(resolution, threads):
    with as_many_as_pay(resolution):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


def test_an_error_gives_them_back():
    with pytest.raises(ZeroDivisionError), as_many_as_pay(8):
        _ = 1 / 0
    assert torch.get_num_threads() == 2
