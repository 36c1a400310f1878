import subprocess
import sys

import pytest

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
