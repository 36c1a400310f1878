from pathlib import Path

import pytest

from tests.figures.drawable import drawable_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that no test writes into."""
    return drawable_run(tmp_path_factory.mktemp("runs") / "run")
