"""scikit-learn's fetchers, asked once and patient for seconds only: who is offline hears at once what to do by hand."""

import io
import logging
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TypeVar

from sklearn.datasets import get_data_home

from arena.errors import ArenaError

# Seconds without an answer after which a server counts as out of reach.
PATIENCE = 15.0

T = TypeVar("T")

log = logging.getLogger(__name__)


def fetched(name: str, fetch: Callable[[], T], by_hand: str) -> T:
    """What a fetcher of scikit-learn returns.

    The fetchers download what is not in scikit-learn's data folder and refuse a download whose SHA-256 is not the one
    they know. What they find there already they take for their own work of an earlier day, unchecked.

    Args:
        name: of the data set.
        fetch: calls the fetcher, told to retry no more than it must.
        by_hand: what to do without a network.

    Raises:
        ArenaError: where it cannot be fetched; one line that says why, and what to do by hand.
    """
    log.info("data=%s: asking scikit-learn, which downloads what it does not have", name)
    # The fetchers print, and warn of each retry: nothing the line of a failure does not say.
    with warnings.catch_warnings(record=True) as heard, redirect_stdout(io.StringIO()), _impatient():
        warnings.simplefilter("always")
        try:
            return fetch()
        except Exception as failure:  # of network, disk or archive: each library raises its own
            # But a file put there by hand that is not the one expected is warned of, and then downloaded anew.
            other = [str(warning.message) for warning in heard if "SHA256" in str(warning.message)]
            reason = " ".join([*other, str(failure) or type(failure).__name__])
            raise ArenaError(
                f"data={name}: expected in {data_home()}, and it cannot be downloaded "
                f"({' '.join(reason.split())}); by hand: {by_hand}"
            ) from failure


def data_home() -> Path:
    """The folder scikit-learn keeps its downloads in, made where it is not there.

    Raises:
        ArenaError: where it cannot be made.
    """
    try:
        return Path(get_data_home())
    except OSError as failure:
        key = "SCIKIT_LEARN_DATA"
        raise ArenaError(
            f"{key}={os.environ.get(key)}: expected a folder that can be written to ({failure})"
        ) from failure


@contextmanager
def _impatient() -> Iterator[None]:
    """Give up on a server that does not answer; the fetchers themselves would wait as long as the system does."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
