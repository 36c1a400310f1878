import subprocess
import sys
from threading import Barrier

import pytest
import torch

from arena.core.machine import as_many_as_pay, at_once, most_at_once, on_threads, parallel_map, use_allowed_cores

SCRIPT = """
import numpy as np
from arena.core.machine import peak_memory_mib
before = peak_memory_mib(False)
ballast = np.ones(2**25)  # 256 MiB
during = peak_memory_mib(False)
del ballast
print(before, during, peak_memory_mib(False))
"""


@pytest.mark.slow
def test_the_most_a_process_ever_held_and_none_of_its_parents():
    ballast = bytearray(b"x") * 2**30
    found = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    before, during, after = map(float, found.stdout.split())
    assert len(ballast) == 2**30 > before * 2**20
    assert 250 < during - before < 300
    assert after > during - 1


@pytest.mark.parametrize(("resolution", "threads"), [(8, 1), (15, 1), (16, 2), (64, 2)])
def test_tiny_images_get_one_thread_and_others_all(resolution, threads):
    with on_threads(2):
        with as_many_as_pay(resolution):
            assert torch.get_num_threads() == threads
        assert torch.get_num_threads() == 2


def test_an_error_gives_the_threads_back():
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), on_threads(before + 1):
        _ = 1 / 0
    assert torch.get_num_threads() == before


def test_items_may_be_worked_on_at_once_where_torch_has_one_thread_and_their_own_items_may_not():
    meet, cpu = Barrier(2, timeout=60), torch.device("cpu")

    def work(k):
        meet.wait()  # returns if both items are under way
        return torch.get_num_threads(), most_at_once(), parallel_map(lambda j: 10 * k + j, range(2), cpu)

    with on_threads(1):
        assert most_at_once() == 1
        with at_once(2):
            assert most_at_once() == 2
            assert parallel_map(work, range(2), cpu) == [(1, 1, [0, 1]), (1, 1, [10, 11])]
        assert most_at_once() == 1
    with on_threads(3), at_once(2):
        assert most_at_once() == 3


@pytest.mark.parametrize("threads", [1, 2])
def test_results_are_in_order_and_computed_in_the_mode_of_the_caller(threads):
    with on_threads(threads):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            results = parallel_map(
                lambda k: (k, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_num_threads()),
                range(6),
                torch.device("cpu"),
            )
        assert results == [(k, False, True, 1) for k in range(6)]
        assert torch.get_num_threads() == threads


@pytest.mark.parametrize("threads", [1, 2])
def test_weights_that_an_item_changes_are_read_again_under_autocast(threads):
    """Lightning turns the cache of cast weights off, and so do the threads."""

    def work(k):
        layer = torch.nn.Linear(4, 4, bias=False)
        torch.nn.init.constant_(layer.weight, k)
        before = layer(torch.ones(1, 4)).sum().detach()
        with torch.no_grad():
            layer.weight.mul_(2)
        return float(layer(torch.ones(1, 4)).sum().detach() / before)

    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False), at_once(threads):
        assert parallel_map(work, range(1, 5), torch.device("cpu")) == [2.0] * 4


@pytest.mark.parametrize("threads", [1, 2])
def test_items_that_work_alone_come_after_the_others_and_keep_their_places(threads):
    done = []

    def work(k):
        done.append(k)
        return -k

    with at_once(threads):
        results = parallel_map(work, range(6), torch.device("cpu"), alone=lambda k: k % 3 == 0)
    assert results == [0, -1, -2, -3, -4, -5]
    assert done[-2:] == [0, 3]


@pytest.mark.parametrize(
    ("cores", "task", "asked", "threads"), [(8, None, None, 4), (3, None, None, 3), (8, "2", None, 2), (1, "1", "4", 4)]
)
def test_threads_keep_to_the_cores_of_the_process_unless_the_user_asks(monkeypatch, cores, task, asked, threads):
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    for name, value in (("SLURM_CPUS_PER_TASK", task), ("OMP_NUM_THREADS", asked)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    with on_threads(4):
        use_allowed_cores()
        assert torch.get_num_threads() == threads
