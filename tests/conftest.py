"""What every test needs: quiet threads, and a race made once."""

from pathlib import Path

import pytest
import torch
from rich.console import Console

from arena.answer.answer import read_answer
from arena.config.saved import read_config
from arena.race.loop import carry_out, run_race
from arena.race.race import Race
from arena.tracking.tracker import Labels
from tests.building import FINISHED, tiny_arena


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    """Tests are small: threads would wait for each other longer than they work."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Race:
    """A tiny white-box race of two responses with its verdict, run once for all tests that only read it."""
    race = tiny_arena(tmp_path_factory.mktemp("finished") / "run", *FINISHED)
    carry_out(race, Console(quiet=True))
    read_answer(race.run).verdict.write(race.run)
    return race


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory that does not exist yet."""
    return tmp_path / "run"


@pytest.fixture(scope="session")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Race:
    """A tiny white-box race of one response, tracked offline, and long enough for its losses to be logged."""
    folder = tmp_path_factory.mktemp("tracked")
    long_enough = ("schedule.warm_up_images=800", "schedule.response_images=800")
    race = tiny_arena(folder / "run", "race.rounds=1", "logger=offline", *long_enough)
    labels = Labels("run", "smoke", "white_box", ["access=white_box", "data=digits"])
    race.tracker.start(race.run, settings=read_config(race.run), labels=labels)
    race.tracker.finish(run_race(race, Console(quiet=True)))
    return race
