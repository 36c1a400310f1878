"""Bars on a terminal, lines elsewhere, and a time left that is never silly."""

import io
import logging
import re
import sys
import warnings
from itertools import pairwise

import pytest
from rich.console import Console

from arena.core import progress as module
from arena.core.progress import Progress, duration

ROUND = [("forge", "generator"), ("judge", "cnn"), ("respond", "generator")]
KINDS = [("warm_up", "generator"), *ROUND, *ROUND[:2]]


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when told."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(module, "time", found)
    return found


def console(terminal):
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, color_system="standard", legacy_windows=False)


def written(out):
    assert isinstance(out.file, io.StringIO)
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", out.file.getvalue())


def carry_out(progress, clock, name, player, seconds, images=0, round_index=0):
    with progress.phase(name, round_index, player):
        if images:
            progress.expect(images)
            progress.advance(images)
        clock.now += seconds


def test_plain_lines_say_phase_round_pace_and_time_left(clock):
    out = console(terminal=False)
    with Progress(out, KINDS, 100) as progress:
        carry_out(progress, clock, "warm_up", "generator", 10, images=5000)
        carry_out(progress, clock, "forge", "generator", 5)
        progress.say("[a line] of another")
    assert written(out).splitlines() == [
        "[1/6] round 0 · warm_up · generator · 10.0 s · 500 images/s · 90 s left",
        "[2/6] round 0 · forge · generator · 5.0 s · 85 s left",
        "[a line] of another",
    ]


def test_time_left_follows_the_forecast_and_then_what_phases_of_a_kind_take(clock):
    progress = Progress(console(terminal=False), KINDS, 100)
    assert progress.seconds_left() == pytest.approx(100)
    carry_out(progress, clock, "warm_up", "generator", 40)
    assert progress.seconds_left() == pytest.approx(60)
    for name, player in ROUND:
        carry_out(progress, clock, name, player, 10)
    assert progress.seconds_left() == pytest.approx(20)  # forge and judge once more, as long as before
    carry_out(progress, clock, "forge", "generator", 10)
    with progress.phase("judge", 1, "cnn"):
        clock.now += 4
        assert progress.seconds_left() == pytest.approx(6)
        clock.now += 400
        assert progress.seconds_left() == 0
    assert progress.seconds_left() == 0


def test_phases_done_before_a_kill_are_no_pace_of_this_start(clock):
    """Four phases skipped in no time do not promise that the others take none."""
    whole, resumed = (Progress(console(terminal=False), KINDS, 100) for _ in range(2))
    for name, player in KINDS[:4]:
        carry_out(whole, clock, name, player, 20)
    for name, player in KINDS[:4]:
        resumed.skip(name, player, 20)
    assert resumed.seconds_left() == pytest.approx(whole.seconds_left())
    assert resumed.seconds_left() == pytest.approx(40)


def test_images_trained_before_a_kill_are_no_pace_of_this_start(clock):
    progress = Progress(console(terminal=False), KINDS, 100)
    with progress.phase("warm_up", 0, "generator"):
        clock.now += 7  # until the snapshot is loaded
        progress.expect(10_000, done=9_000)
        progress.advance(500)
        clock.now += 5
        assert progress.pace() == "100 images/s"


def test_bars_fit_80_columns_and_name_all_there_is_to_know(clock):
    out = console(terminal=True)
    long = ("calibrate", "spectrum")
    with Progress(out, [*KINDS, long], 5000) as progress, progress.phase("calibrate", 12, "spectrum"):
        progress.expect(10_000)
        progress.advance(5_000)
        clock.now += 2
        progress.bars.refresh()
    lines = [line for line in re.split(r"[\r\n]+", written(out)) if line.strip()]
    assert max(map(len, lines)) <= 80
    race, phase = next((one, next_one) for one, next_one in pairwise(lines) if "images/s" in next_one)
    assert re.match(r"round 12 .*━.* 83 min left 0:", race)
    assert re.match(r"calibrate · spectrum .*━.* 2,500 images/s 0:", phase)
    assert [line for line in lines if "[1/" in line] == []  # the lines are for whoever has no terminal


def test_what_others_print_goes_above_the_bars(monkeypatch):
    """Logging and warnings, whose streams were opened before the bars, do not write through them."""
    out = console(terminal=True)
    before = io.StringIO()
    monkeypatch.setattr(sys, "stdout", before)
    handler = logging.StreamHandler(before)
    logger = logging.getLogger("tests.progress")
    logger.addHandler(handler)
    try:
        with Progress(out, KINDS, 100), warnings.catch_warnings():
            logger.warning("W&B cannot be reached")
            print("printed")
            assert before.getvalue() == ""
        assert handler.stream is before
        assert sys.stdout is before
        logger.warning("after")
    finally:
        logger.removeHandler(handler)
    assert "W&B cannot be reached" in written(out)
    assert "printed" in written(out)
    assert before.getvalue() == "after\n"


def test_an_interruption_leaves_the_terminal_as_it_was(clock):
    out = console(terminal=True)
    with pytest.raises(KeyboardInterrupt), Progress(out, KINDS, 100) as progress, progress.phase("judge", 0, "cnn"):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in written(out)  # the cursor is back
    assert progress.finished == 0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (299.4, "299 s"), (300, "5 min"), (3600, "60 min"), (5400, "1.5 h"), (90_000, "25.0 h")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
