"""What every test needs: quiet threads, and a race made once."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from arena.arena import Arena
from arena.race import run_race
from tests.building import tiny_arena


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tests are small: threads would wait for each other longer than they work."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """A tiny white-box race of two responses, run once for all tests that only read it."""
    arena = tiny_arena(tmp_path_factory.mktemp("finished") / "run", "race.rounds=2")
    run_race(arena, Console(quiet=True))
    return arena


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory that does not exist yet."""
    return tmp_path / "run"
