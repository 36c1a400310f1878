"""Upload an offline W&B run while it grows, in a process of its own that no race waits for."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

LOG = "upload.log"
"""File beside W&B's own with the output of the upload."""


class Upload:
    """The process that sends a run to W&B as it is written.

    It is in a session of its own, so that Ctrl-C on the terminal does not reach it. It ends with this process, however
    that ends.

    Args:
        folder: of one offline run, ``wandb/offline-run-*``.
    """

    def __init__(self, folder: Path) -> None:
        self.log, self._folder = folder.parent / LOG, folder
        # The service of W&B in this process is not asked to upload: nothing here waits for the network.
        inherited = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from arena.tracking.upload import serve; serve()", str(folder)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**inherited, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    @property
    def failed(self) -> bool:
        """Whether the process has ended without sending all."""
        return self._process.poll() not in (None, 0)

    def end(self, seconds: float) -> bool:
        """Wait for the rest of a run that is finished, at most so many seconds, and return whether all was sent."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        # A sync that was refused ends with code 0 too. Only one that sent all leaves its mark.
        sent = self._process.poll() == 0 and any(self._folder.glob("*.wandb.synced"))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        return sent


def serve() -> None:
    """Send the run of the first argument as it grows, until it is finished or the parent process has ended.

    Folders that earlier starts of the race left beside it are sent first, unless that was done.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    earlier = [other for other in sorted(folder.parent.glob("offline-run-*")) if other.name < folder.name]
    codes = [_sync("--skip-synced", *map(str, earlier))] if earlier else []
    codes.append(_sync("--live", str(folder)))
    os._exit(any(codes))  # the thread still reads


def _sync(*arguments: str) -> int:
    command = [sys.executable, "-m", "wandb", "beta", "sync", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL).returncode


def _end_with_parent() -> None:
    sys.stdin.buffer.read()  # its end is the end of the parent
    os.killpg(0, signal.SIGKILL)
