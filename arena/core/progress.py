"""Show progress on a terminal: the phases of a race, and tables of the commands."""

import logging
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import fmean
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

Kind = tuple[str, str]
"""Name and player of a phase. Phases of one kind take about as long in every round."""


class Progress:
    """Show a bar of the race, counted in phases, above a bar of the phase, counted in images.

    Args:
        console: the output. A terminal shows bars, any other output one line a phase. None shows nothing.
        kinds: kinds of all phases of the race in order, including phases that are already done.
        seconds: forecast of the whole race. It gives the time left for kinds without a finished phase.
    """

    def __init__(self, console: Console | None = None, kinds: Sequence[Kind] = (), seconds: float = 0.0) -> None:
        self.console = console = Console(quiet=True) if console is None else console
        self.kinds, self.forecast = list(kinds), seconds
        self.taken: dict[Kind, list[float]] = defaultdict(list)
        """Seconds of each finished phase, also of those before the race was resumed."""
        self.finished = 0
        self.title, self.total, self.start = "", 0.0, time.monotonic()
        self.trained, self.clock = 0.0, self.start
        """Images of this phase since ``clock``."""
        widest = max((len(_title(kind)) for kind in self.kinds), default=0)  # keeps the columns in place
        columns = (
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, min_width=widest)),
            BarColumn(bar_width=16),
            _Note(self),
            TimeElapsedColumn(),
        )
        self.bars = Bars(
            *columns,
            console=console,
            refresh_per_second=4,
            redirect_stderr=sys.stderr.isatty(),
            disable=not console.is_terminal,
        )
        self.race_bar: TaskID = self.bars.add_task("race", total=len(self.kinds))
        self.phase_bar: TaskID = self.bars.add_task("", total=None)
        self._open = ExitStack()

    def __enter__(self) -> "Progress":
        """Show the bars."""
        before = (sys.stdout, sys.stderr)
        self._open.enter_context(self.bars)
        for handler in _handlers():
            if handler.stream in before:  # it would write into the bars
                old = handler.setStream(sys.stderr if handler.stream is before[1] else sys.stdout)
                if old is not None:
                    self._open.callback(handler.setStream, old)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the bars and leave them on the screen."""
        self._open.close()

    def say(self, line: str) -> None:
        """Print one line above the bars."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    @contextmanager
    def phase(self, name: str, round_index: int, player: str) -> Iterator[None]:
        """Show one phase of the race while it runs in this process."""
        self.title, self.total, self.trained = _title((name, player)), 0.0, 0.0
        self.start = self.clock = time.monotonic()
        self.bars.update(self.race_bar, description=f"round {round_index}")
        self.bars.reset(self.phase_bar, total=None, description=self.title)
        yield
        seconds, pace = time.monotonic() - self.start, self.pace()
        self._close((name, player), seconds)
        self._line(round_index, self.title, seconds, pace)

    def beside(self, name: str, round_index: int, player: str, seconds: float) -> None:
        """Count a phase that ran beside others and is now done. It adds nothing to the time left."""
        self._close((name, player), 0.0)
        self._line(round_index, f"{_title((name, player))} (beside)", seconds, "")

    def _line(self, round_index: int, title: str, seconds: float, pace: str) -> None:
        if not self.console.is_terminal:
            parts = [f"[{self.finished}/{len(self.kinds)}] round {round_index}", title, f"{seconds:.1f} s", pace]
            self.say(" · ".join(filter(None, [*parts, self.left()])))

    def skip(self, name: str, player: str, seconds: float) -> None:
        """Count a phase that was done before the race was resumed."""
        self._close((name, player), seconds)

    def _close(self, kind: Kind, seconds: float) -> None:
        self.taken[kind].append(seconds)
        self.finished += 1
        self.start = time.monotonic()
        self.bars.update(self.race_bar, completed=self.finished)

    def expect(self, images: float, done: int = 0) -> None:
        """Set the most images that the phase will take, and the number already done."""
        self.total, self.trained, self.clock = images, 0.0, time.monotonic()
        self.bars.update(self.phase_bar, completed=done)

    def advance(self, images: int) -> None:
        """Count more images of the phase."""
        self.trained += images
        # Without counted images, such as in a fit, the bar has no end.
        self.bars.update(self.phase_bar, advance=images, total=self.total or None)

    def callback(self, batch: int) -> pl.Callback:
        """Return a Lightning callback that counts ``batch`` images a step."""
        return _Advance(self, batch)

    def pace(self) -> str:
        """Return the images per second of this phase as text, empty without images."""
        return f"{self.trained / max(time.monotonic() - self.clock, 1e-6):,.0f} images/s" if self.trained else ""

    def left(self) -> str:
        """Return the time left as text."""
        return f"{duration(self.seconds_left())} left"

    def seconds_left(self) -> float:
        """Return the time left. A kind takes what it took before; other kinds share the rest of the forecast."""
        pace = {kind: fmean(seconds) for kind, seconds in self.taken.items()}
        ahead = self.kinds[self.finished :]
        unmet = max(0.0, self.forecast - sum(pace[kind] for kind in self.kinds if kind in pace))
        unknown = max(1, sum(kind not in pace for kind in ahead))
        each = [pace.get(kind, unmet / unknown) for kind in ahead]
        if each:  # the first one is running
            each[0] = max(0.0, each[0] - (time.monotonic() - self.start))
        return sum(each)


class _Note(ProgressColumn):
    """Column with the time left of the race and the images per second of the phase."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(table_column=Column(no_wrap=True, min_width=15, justify="right"))
        self.progress = progress

    def render(self, task: Task) -> Text:
        return Text(self.progress.left() if task.id == self.progress.race_bar else self.progress.pace())


class _Advance(pl.Callback):
    def __init__(self, progress: Progress, batch: int) -> None:
        self.progress, self.batch = progress, batch

    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        self.progress.advance(self.batch)


def _title(kind: Kind) -> str:
    return " · ".join(kind)


def _handlers() -> Iterator[logging.StreamHandler]:
    """Yield every handler of any logger that writes to a stream."""
    loggers = [logging.root, *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    handlers = {handler for logger in loggers for handler in logger.handlers}
    yield from (handler for handler in handlers if isinstance(handler, logging.StreamHandler))


def duration(seconds: float) -> str:
    """Return seconds as short text.

    >>> duration(150), duration(600), duration(9000)
    ('150 s', '10 min', '2.5 h')
    """
    if seconds < 300:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
