"""A real browser for tests: Chromium without a window, driven through the DevTools protocol over two pipes.

The pipes need no port, no driver beside the browser and no package: requests and answers are JSON, ended by a zero byte
(``--remote-debugging-pipe``; https://chromedevtools.github.io/devtools-protocol).
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 60.0
KEYS = {"Tab": 9, "Enter": 13, " ": 32, "End": 35, "Home": 36}
KEYS |= {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
# Chromium reads requests from descriptor 3 and writes to 4.
LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # which needs rights that containers withhold; the only page is our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
)


def find_browser() -> str | None:
    """The first of the known names on the PATH."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One tab. It keeps every event, so that tests can ask what the page asked of the network, or said to the console.

    Args:
        command: of the browser.
        folder: for its profile and its downloads.
    """

    def __init__(self, command: str, folder: Path) -> None:
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        (to_read, self._to), (self._from, to_write) = _pipe(), _pipe()
        launch = [sys.executable, "-c", LAUNCH, str(to_read), str(to_write), command]
        self._process = subprocess.Popen(
            [*launch, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._buffer, self._number, self._session = b"", 0, None
        self.events: list[dict[str, Any]] = []
        (target, *_) = [its for its in self("Target.getTargets")["targetInfos"] if its["type"] == "page"]
        self._session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Accessibility", "DOM"):
            self(f"{domain}.enable")
        self("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads), eventsEnabled=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask, wait, and keep the events that come meanwhile."""
        self._number += 1
        request: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None and not method.startswith("Target."):
            request["sessionId"] = self._session
        os.write(self._to, json.dumps(request).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message)

    def open(self, page: Path) -> None:
        """Load a page from disk, to its end."""
        self.events.clear()
        self("Page.navigate", url=page.resolve().as_uri())
        self.wait(lambda: bool(self.heard("Page.loadEventFired")))

    def heard(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every event of that name since the page was opened."""
        return [event["params"] for event in self.events if event.get("method") == method]

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds."""
        deadline = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < deadline, "the browser did not get there"
            self("Runtime.evaluate", expression="0")  # lets events in
            time.sleep(0.02)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page."""
        found = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, by its name in the DOM; a letter types itself."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        press = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS.get(key, 0)}
        self("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **press)
        self("Input.dispatchKeyEvent", type="keyUp", **press)

    def window(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        """The size of the window in CSS pixels, on a phone with touch, in light or in dark."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path, selector: str) -> None:
        """A PNG of one element, whole."""
        box = f"(() => {{ const b = document.querySelector('{selector}').getBoundingClientRect();"
        box += " return {x: b.x + scrollX, y: b.y + scrollY, width: b.width, height: b.height, scale: 1} })()"
        found = self("Page.captureScreenshot", clip=self.evaluate(box), captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._from], [], [], SECONDS)
            assert ready, "the browser does not answer"
            read = os.read(self._from, 1 << 20)
            assert read, "the browser has gone"
            self._buffer += read
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)


def _pipe() -> tuple[int, int]:
    """Both ends at descriptors that the launch does not overwrite."""
    low = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in low]
    for end in low:
        os.close(end)
    return high[0], high[1]
