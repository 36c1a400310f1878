import pytest
import torch

from arena.core.parallel import parallel_map
from arena.core.threads import on_threads


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
