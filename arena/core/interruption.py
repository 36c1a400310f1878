"""Stop on a signal: at once outside of training, and between two steps of training."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))
"""Signals that ask for a stop: Ctrl-C, the end of a job, and warnings before it (``sbatch --signal=USR1@60``)."""
PATIENCE = 1.0
"""Seconds in which a second signal is the same request. A terminal and a wrapper such as ``timeout`` both send one."""


class Interrupted(BaseException):
    """A signal asked this process to stop.

    Args:
        number: of the signal.
        between_steps: whether it was raised at a place where a state of training is whole and can be saved.
        advice: how to continue, for the line on the console.
    """

    def __init__(self, number: int, *, between_steps: bool = False, advice: str = "") -> None:
        super().__init__(number)
        self.number, self.between_steps, self.advice = number, between_steps, advice

    @property
    def exit_code(self) -> int:
        """Return 130 after Ctrl-C, and 143 after the other signals."""
        return 128 + (signal.SIGINT if self.number == signal.SIGINT else signal.SIGTERM)


class _Watch:
    """What this process knows of signals. Only its main thread receives and raises them."""

    def __init__(self) -> None:
        self.installed = False
        self.waiting = 0
        """Contexts of ``stop_at_next_step`` that are open."""
        self.received: int | None = None
        self.since = 0.0

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Note a signal, and raise ``Interrupted`` unless training waits for the end of a step."""
        if self.received is None:
            self.received, self.since = number, time.monotonic()
            if self.waiting:
                return
        elif time.monotonic() - self.since < PATIENCE:
            return
        raise Interrupted(number)


_watch = _Watch()


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise ``Interrupted`` on a signal inside the context, and give the former handlers back after it.

    An error that follows a signal is taken for its consequence, such as that of an import which was broken off. Signals
    that the parent process had ignored stay ignored. Outside of the main thread, and inside another such context, this
    does nothing.

    Raises:
        Interrupted: on the first signal. A second one, ``PATIENCE`` later, raises it again, wherever the stop has come.
    """
    if _watch.installed or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    hook = sys.unraisablehook

    def silent(unraisable: "sys.UnraisableHookArgs") -> None:
        """Report what a finaliser could not raise, unless it is a signal, which is noted."""
        if not issubclass(unraisable.exc_type, Interrupted):
            hook(unraisable)

    _watch.installed, _watch.received, sys.unraisablehook = True, None, silent
    try:
        install_handlers()
        try:
            yield
        except Exception as error:
            if _watch.received is not None:
                raise Interrupted(_watch.received) from error
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _watch.installed, _watch.received, sys.unraisablehook = False, None, hook


def install_handlers() -> None:
    """Install the handlers of ``interruptible``. Inside one, take them back from another package."""
    if _watch.installed and threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _watch.handle)


@contextmanager
def stop_at_next_step() -> Iterator[None]:
    """Let a signal wait for ``raise_if_interrupted``, or for the end of the context.

    Raises:
        Interrupted: on a second signal, at once, and at the end of the outermost context after a signal inside it.
    """
    with interruptible():
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        _watch.waiting += 1
        try:
            yield
        finally:
            _watch.waiting -= 1
        if not _watch.waiting:
            raise_if_interrupted()


def raise_if_interrupted() -> None:
    """Raise ``Interrupted`` after a signal, also if a finaliser or an import of another package has lost it.

    Call it where a state is whole: between steps and between phases.
    """
    if _watch.received is not None and threading.current_thread() is threading.main_thread():
        raise Interrupted(_watch.received, between_steps=True)


@contextmanager
def signals_left_to_parent() -> Iterator[None]:
    """Start processes that never receive ``SIGNALS``. Their parent ends them; its own signals wait for the end here."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
