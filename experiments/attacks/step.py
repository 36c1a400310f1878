"""Measure how many times longer a step of a response takes with eight live detectors than with none, at 32 pixels.

    python experiments/attacks/step.py [--threads 1]

Two responses on portraits take turns of ``BLOCK`` steps, so that both meet the same load of the machine. One attacks
nothing. The other attacks four techniques, each with two live detectors, of which one acts at each step. Threads are
those of torch. With 1, as beside a second process of a race, live detectors still share all threads of the machine.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import pytorch_lightning as pl
import torch

from arena.core.machine import at_once, on_threads
from arena.core.progress import Progress
from arena.race.build import race_from
from arena.race.loop import run_phases
from arena.race.phases.detectors import retrain
from arena.race.phases.fakes import forge
from arena.race.phases.generator import respond, warm_up
from arena.race.processes import Step
from arena.race.race import Race
from arena.records.store import RecordBook

BATCH, BLOCK, BLOCKS = 64, 20, 9
"""Images of a step, steps of a turn, and turns of each response. The first turn is left out."""
CONDITIONS = {"none": ("access=none",), "eight live": ("access.levels=[gradients,features]",)}
SETTINGS = (
    "data=portraits",
    "data.resolution=32",
    "logger=none",
    f"schedule.batch={BATCH}",
    "schedule.warm_up_images=640",
    f"schedule.response_images={BATCH * BLOCK * BLOCKS}",
    "schedule.evaluate_images=1000000",
    "bank.train=512",
    "bank.validation=128",
    "bank.test=256",
    "bank.cell=128",
    "battery.images=640",
)
EARLIER = (Step(warm_up, 0, "generator"), Step(forge, 0, "generator"), Step(retrain, 0, "battery"))
"""Phases before the response."""


class Turn(NamedTuple):
    """Seconds of a block of steps, by the clock and of all threads of the process."""

    wall: float
    cpu: float


class Turns(pl.Callback):
    """Let a response wait for its turn before each block of steps, and measure the block.

    Args:
        own: is released when it is this response's turn.
        other: of the other response.
    """

    def __init__(self, own: threading.Semaphore, other: threading.Semaphore) -> None:
        super().__init__()
        self.own, self.other = own, other
        self.steps, self.began, self.taken = 0, Turn(0.0, 0.0), list[Turn]()

    def on_train_batch_start(self, trainer: object, pl_module: object, batch: object, batch_idx: int) -> None:
        """Wait for the turn, at the first step of a block."""
        if self.steps % BLOCK == 0:
            self.own.acquire()
            self.began = Turn(time.perf_counter(), time.process_time())

    def on_train_batch_end(
        self, trainer: object, pl_module: object, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Give the turn away, after the last step of a block."""
        self.steps += 1
        if self.steps % BLOCK == 0:
            self.taken.append(Turn(time.perf_counter() - self.began.wall, time.process_time() - self.began.cpu))
            self.other.release()


class ProgressWithTurns(Progress):
    """Progress of a response that takes turns."""

    def __init__(self, turns: Turns) -> None:
        super().__init__()
        self.turns = turns

    def callback(self, batch: int) -> pl.Callback:
        """Return the turns, which a training calls before and after each step."""
        return self.turns


def race_before_response(settings: tuple[str, ...], run: Path) -> Race:
    """Return a race whose response is next."""
    race = race_from([*SETTINGS, *settings], run)
    run_phases(race, RecordBook(run), EARLIER, Progress())
    return race


def train(race: Race, turns: Turns, threads: int, together: int) -> None:
    """Train the response in this thread, with ``threads`` of torch and as many detectors at once as ``together``."""
    with at_once(together), on_threads(threads):
        respond(race, 0, ProgressWithTurns(turns))


def told(kind: str, none: list[float], live: list[float]) -> str:
    """Return a line on both responses, of seconds a block."""
    ratios = [more / less for more, less in zip(live, none, strict=True)]
    low, middle, high = quantiles(ratios, n=4)
    each = [1000 * sum(seconds) / len(seconds) / BLOCK for seconds in (none, live)]
    return (
        f"{kind}: {each[0]:.0f} and {each[1]:.0f} ms a step, {sum(live) / sum(none):.2f} times as long "
        f"(blocks: median {middle:.2f}, quartiles {low:.2f} and {high:.2f})"
    )


def main() -> None:
    """Measure both responses, and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    threads, together = parser.parse_args().threads, torch.get_num_threads()
    first, second = threading.Semaphore(1), threading.Semaphore(0)
    turns = {"none": Turns(first, second), "eight live": Turns(second, first)}
    with tempfile.TemporaryDirectory() as folder:
        races = {name: race_before_response(own, Path(folder) / name) for name, own in CONDITIONS.items()}
        print(f"{len(races['eight live'].attacked)} techniques, torch has {threads} threads")
        work = [
            threading.Thread(target=train, args=(races[name], turns[name], threads, together)) for name in CONDITIONS
        ]
        for thread in work:
            thread.start()
        for thread in work:
            thread.join()
    none, live = (turns[name].taken[1:] for name in CONDITIONS)
    print(told("wall time", [turn.wall for turn in none], [turn.wall for turn in live]))
    print(told("processor time", [turn.cpu for turn in none], [turn.cpu for turn in live]))


if __name__ == "__main__":
    main()
