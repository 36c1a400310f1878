import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.figures.conftest import run

__all__ = ["run"]  # the fixture

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of the system, since Playwright's own is a download. It closes with the module, as does its loop."""
    command = next(filter(None, map(shutil.which, NAMES)), None)
    if command is None:
        pytest.skip(f"no browser on the PATH: looked for {', '.join(NAMES)}")
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=command) as browser:
        yield browser
