"""What the user sees while a race runs: live bars on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars


class Progress:
    """The race's bar, counted in phases, and under it the phase's, counted in images.

    Args:
        console: where to; its being a terminal decides between bars and lines.
        phases: of the whole race.
        seconds: the estimate of the whole race, from which the time left is told until the race has a pace of its own.
    """

    def __init__(self, console: Console, phases: int, seconds: float) -> None:
        self.console, self.phases, self.seconds = console, phases, seconds
        self.start, self.finished = time.monotonic(), 0
        self.total, self.seen, self.phase_start, self.title = 0.0, 0.0, self.start, ""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        self.bars = Bars(*columns, console=console, refresh_per_second=4, disable=not console.is_terminal)
        self.race_bar: TaskID = self.bars.add_task("race", total=phases, note="")
        self.phase_bar: TaskID = self.bars.add_task("", total=None, note="")

    def __enter__(self) -> "Progress":
        """Show the bars."""
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave them as they are."""
        self.bars.stop()

    def say(self, line: str) -> None:
        """One line above the bars."""
        self.console.print(line, highlight=False, markup=False)

    @contextmanager
    def phase(self, name: str, round: int, player: str) -> Iterator[None]:
        """Show one phase of the race."""
        self.title = f"round {round} · {name} · {player}"
        self.total, self.seen, self.phase_start = 0.0, 0.0, time.monotonic()
        self.bars.reset(self.phase_bar, total=None, description=self.title, note="")
        yield
        self.finished += 1
        self.bars.update(self.race_bar, completed=self.finished, note=f"{self._left()} left")
        if not self.console.is_terminal:
            seconds = time.monotonic() - self.phase_start
            pace = f" · {self.seen / seconds:,.0f} images/s" if self.seen else ""
            self.say(f"[{self.finished}/{self.phases}] {self.title} · {seconds:.1f} s{pace} · {self._left()} left")

    def skip(self) -> None:
        """A phase that an earlier start of this race has done."""
        self.finished += 1
        self.bars.update(self.race_bar, completed=self.finished)

    def expect(self, images: float, done: int = 0) -> None:
        """How many images the phase will take at most, and how many it has behind it."""
        self.total, self.seen = images, float(done)
        self.bars.update(self.phase_bar, total=images, completed=done)

    def advance(self, images: int) -> None:
        """So many images more."""
        self.seen += images
        pace = self.seen / max(time.monotonic() - self.phase_start, 1e-6)
        self.bars.update(self.phase_bar, completed=self.seen, note=f"{pace:,.0f} images/s")

    def callback(self, batch: int) -> pl.Callback:
        """A Lightning callback that advances by a batch a step."""
        return _Advance(self, batch)

    def _left(self) -> str:
        """Time left: the estimate at first, ever more the pace of what is finished."""
        done = self.finished / self.phases
        elapsed = time.monotonic() - self.start
        whole = (1 - done) * self.seconds + done * (elapsed / max(done, 1e-6))
        return duration(max(0.0, whole * (1 - done)))


class _Advance(pl.Callback):
    def __init__(self, progress: Progress, batch: int) -> None:
        self.progress, self.batch = progress, batch

    def on_train_batch_end(self, *_: object) -> None:
        self.progress.advance(self.batch)


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
