import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from arena.core.interruption import (
    PATIENCE,
    SIGNALS,
    Interrupted,
    interruptible,
    raise_if_interrupted,
    signals_left_to_parent,
    stop_at_next_step,
)


def send(number: int = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)])
def test_a_signal_raises_at_once_and_the_former_handlers_come_back(number, code):
    before = [signal.getsignal(each) for each in SIGNALS]

    @interruptible()
    def work() -> None:
        send(number)
        pytest.fail("the signal was not raised")

    with pytest.raises(Interrupted) as interruption:
        work()
    assert interruption.value.exit_code == code
    assert not interruption.value.between_steps
    assert [signal.getsignal(each) for each in SIGNALS] == before
    raise_if_interrupted()  # nothing of it is left


def test_training_stops_where_it_asks_and_not_before():
    steps = []

    @stop_at_next_step()
    def work() -> None:
        for step in range(5):
            if step == 2:
                send()
            steps.append(step)
            raise_if_interrupted()

    with pytest.raises(Interrupted) as interruption:
        work()
    assert steps == [0, 1, 2]
    assert interruption.value.between_steps


def test_training_that_does_not_ask_stops_at_the_end_of_the_outermost_context():
    reached = []

    @stop_at_next_step()
    def work() -> None:
        with stop_at_next_step():
            send()
        reached.append("the end of the inner one")

    with pytest.raises(Interrupted):
        work()
    assert reached == ["the end of the inner one"]


def test_a_second_signal_does_not_wait_but_a_repetition_of_the_first_does():
    @stop_at_next_step()
    def work() -> None:
        send(signal.SIGINT)
        send(signal.SIGINT)  # of the terminal and of a wrapper
        time.sleep(PATIENCE + 0.2)
        send()
        pytest.fail("the second signal was not raised")

    with pytest.raises(Interrupted) as interruption:
        work()
    assert not interruption.value.between_steps


def test_a_signal_that_was_swallowed_is_seen_later(capsys):
    class Finaliser:
        def __del__(self) -> None:
            send()

    @interruptible()
    def work() -> None:
        Finaliser()
        raise_if_interrupted()
        pytest.fail("the signal was lost")

    with pytest.raises(Interrupted):
        work()
    assert capsys.readouterr().err == ""


def test_an_error_after_a_signal_is_its_consequence_and_another_error_stays():
    @interruptible()
    def work() -> None:
        try:
            send()
        except Interrupted:
            raise ImportError("numpy was not initialised") from None

    with pytest.raises(Interrupted):
        work()
    with pytest.raises(ImportError), interruptible():
        raise ImportError("no signal came")


def test_handlers_are_taken_back_from_another_package():
    from arena.core.interruption import install_handlers

    @interruptible()
    def work() -> None:
        signal.signal(signal.SIGTERM, lambda *_: None)
        install_handlers()
        send()

    with pytest.raises(Interrupted):
        work()
    install_handlers()  # outside there is nothing to take back
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_signal_that_the_parent_ignored_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a job in the background of a shell
    try:
        with interruptible():
            send(signal.SIGINT)
            raise_if_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_neither_install_handlers_nor_stop():
    before, found = signal.getsignal(signal.SIGTERM), []

    def work() -> None:
        with stop_at_next_step():
            found.append(signal.getsignal(signal.SIGTERM))
            raise_if_interrupted()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


def test_a_process_of_ours_receives_no_signal_and_we_still_do():
    with interruptible():
        with signals_left_to_parent():
            process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        for number in SIGNALS:
            process.send_signal(number)
        process.communicate(b"\n", timeout=60)
    assert process.returncode == 0
    with pytest.raises(Interrupted), interruptible():
        send()
