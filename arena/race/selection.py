"""Choose by probes between branches of a response, and between its snapshots.

A response that attacks detectors may end worse than one that attacks none. Branches with different multiples of the
opponents' pull therefore train from one snapshot, one of them without opponents, and fresh probes choose between them.
This is successive halving (Jamieson & Talwalkar 2016). The images of every branch count as spent.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

from arena.config.schema import STACK
from arena.core.files import is_sealed, write_atomically
from arena.core.progress import Progress
from arena.generators.base import TrainableGenerator
from arena.race.checkpoints import load_generator
from arena.race.gan_monitor import MonitoredGan, read_curve
from arena.race.opponents import opponents
from arena.race.probes import Probes
from arena.race.race import Race
from arena.records.schema import AucEstimate, ProbeRecord, Record, Spent
from arena.records.store import parse_lines, read_lines, to_lines
from arena.training.gan import images_seen_by
from arena.training.meter import FILE, Meter
from arena.training.opponents.combined import ScaledOpponents
from arena.training.opponents.opponents import Opponents

PROBES = "probes.jsonl"
"""File of the probes of a response, beside the state of its GAN."""
PROBED = "probed"
"""Folder of the counts of the probes so far."""
BESIDE = "beside"
"""Folder of the counts of all probes and of the branches that were given up, beside the state of the GAN."""


class Snapshot(NamedTuple):
    """A state of the generator in a response.

    Args:
        multiplier: of the opponents' pull in its branch. None at the start, which the branches share.
        step: of the branch.
    """

    multiplier: float | None
    step: int


START = Snapshot(None, 0)


def halving(branches: int, steps: int, share: float) -> list[tuple[int, int]]:
    """Return the rungs of successive halving: how many branches train, and for how many steps each.

    Every rung has an equal part of the share. Steps that its branches cannot divide are left to the winner.

    >>> halving(branches=3, steps=400, share=0.25)
    [(3, 16), (2, 25)]
    """
    alive: list[int] = []
    while branches > 1:
        alive.append(branches)
        branches = (branches + 1) // 2
    return [(count, int(share * steps) // len(alive) // count) for count in alive]


def snapshot_to_end_with(aucs: Mapping[Snapshot, AucEstimate]) -> Snapshot:
    """Return the last snapshot, or the one of the lowest AUC where that is lower by more than its standard error.

    This is the rule of one standard error (Breiman et al. 1984, section 3.4.3). Of snapshots that probes cannot tell
    apart it prefers the one that trained longest, since the lowest of several AUCs is low in part by luck.

    Args:
        aucs: of the stack, in the order of training.
    """
    last, lowest = list(aucs)[-1], min(aucs, key=lambda snapshot: aucs[snapshot].auc)
    error = (aucs[lowest].auc_high - aucs[lowest].auc_low) / (2 * NormalDist().inv_cdf(0.975))
    return lowest if aucs[last].auc - aucs[lowest].auc > error else last


def respond_selected(race: Race, round_index: int, progress: Progress) -> tuple[list[Record], Spent]:
    """Train G_round in branches, of which one is left after a share of the budget and gets the rest.

    The generator is probed at the start, at the end of each rung, and then at each interval of
    ``schedule.evaluate_images``. All branches draw the same reals and z in the same step.

    Returns:
        The training records of the branch that was left and all probes, and what all branches and probes spent.
    """
    target, folder = race.layout.gan(round_index + 1), race.layout.selection(round_index)
    before = read_curve(race.layout.gan(round_index))
    if not is_sealed(target):
        SelectedResponse(race, round_index, progress).train(target)
    shutil.rmtree(folder, ignore_errors=True)
    spent = Meter.load(target).spent + Meter.load(target / BESIDE).spent
    return [*read_curve(target)[len(before) :], *read_probes(target)], spent


class SelectedResponse:
    """The branches of a response, each in a folder of its own, and what probes read of them.

    A probe is kept as soon as it is read. What a killed response has trained and read is not trained and read again.
    """

    def __init__(self, race: Race, round_index: int, progress: Progress) -> None:
        self.race, self.round_index, self.progress = race, round_index, progress
        self.folder, self.source = race.layout.selection(round_index), race.layout.gan(round_index)
        self.batch = race.schedule.batch
        self.steps = race.schedule.response_images // self.batch
        shared = replace(race.access, queries=race.access.queries // race.selection.attacking)
        self.sharing = replace(race, access=shared)
        """The race with the part of the queries that each branch may ask."""
        self.probes = Probes(race, round_index + 1, Meter.load(self.folder / PROBED))
        self.records = read_probes(self.folder)
        self.began = images_seen_by(self.source)
        self.spent = 0
        """Steps of all branches together."""

    def train(self, target: Path) -> None:
        """Train within the budget, and move the chosen state to ``target``."""
        self.progress.expect(self.steps * self.batch)
        generator = load_generator(self.race, self.round_index)
        assert isinstance(generator, TrainableGenerator)
        self._probe(START, generator)
        self._mark(START, continued=True)
        alive, step, spent = [*self.race.selection.multipliers], 0, 0
        for count, steps in halving(len(alive), self.steps, self.race.selection.share):
            begun, step = step, step + steps
            for multiplier in alive:
                self.spent += steps
                if not self._aucs(reached := Snapshot(multiplier, step)):
                    training = self._branch(multiplier, begun, spent)
                    training.train(step)
                    self._probe(reached, training.gan.ema)
            spent = self.spent
            ranked = sorted(alive, key=lambda multiplier: self._aucs(Snapshot(multiplier, step))[STACK].auc)
            for multiplier in ranked[(count + 1) // 2 :]:
                self._give_up(multiplier)
            alive = [multiplier for multiplier in alive if multiplier in ranked[: (count + 1) // 2]]
            for multiplier in alive:
                self._mark(Snapshot(multiplier, step), continued=True)
        self._finish(alive[0], step, target)

    def _finish(self, multiplier: float, step: int, target: Path) -> None:
        """Train the branch that is left for the rest of the budget, and end with the snapshot that probes choose."""
        every, end = max(1, self.race.schedule.evaluate_images // self.batch), step + self.steps - self.spent
        training = self._branch(multiplier, step, self.spent)
        logger = self.race.tracker.logger(f"round_{self.round_index:02d}/{training.purpose}")
        looks = [START]
        if step:
            looks.append(Snapshot(multiplier, step))
            self._copy(looks[-1], training)
        while step < end:
            self._mark(looks[-1], continued=True)
            stop = min(step + every, end)
            self.spent, step = self.spent + stop - step, stop
            looks.append(Snapshot(multiplier, step))
            if not self._aucs(looks[-1]):
                training.train(step, logger)
                self._copy(looks[-1], training)
                self._probe(looks[-1], training.gan.ema)
            self._drop_copies(looks)
        chosen = snapshot_to_end_with({look: self._aucs(look)[STACK] for look in looks})
        self._mark(chosen, chosen=True)
        if chosen != looks[-1]:
            training.gan.load(self.source if chosen == START else self._copy_of(chosen))
            training.gan.step, training.gan.images_seen = end, self.began + self.spent * self.batch
        training.keep()
        write_atomically(training.partial / PROBES, to_lines(self.records).encode())
        given_up = [other for other in self.race.selection.multipliers if other != multiplier]
        beside = Meter()
        for meter in (self.probes.meter, *(Meter.load(self._folder(other)) for other in given_up)):
            beside.add(**asdict(meter.spent))
        beside.save(training.partial / BESIDE)
        training.close(target)

    # --- branches --------------------------------------------------------------------------------------------------

    def _folder(self, multiplier: float) -> Path:
        return self.folder / f"branch_{self.race.selection.multipliers.index(multiplier)}"

    def _give_up(self, multiplier: float) -> None:
        """Delete the state of a branch. Its counts stay until the end of the response."""
        folder = self._folder(multiplier)
        meter = Meter.load(folder)
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name != FILE:
                path.unlink()
        meter.save(folder)

    def _branch(self, multiplier: float, step: int, spent: int) -> MonitoredGan:
        """Return a branch as it was last kept. At ``step``, all branches together had ``spent`` steps."""
        found: Opponents | None = None
        if multiplier and (found := opponents(self.sharing, self.round_index)) and multiplier != 1:
            found = ScaledOpponents(found, multiplier)
        training = MonitoredGan(
            self.race,
            partial=self._folder(multiplier),
            progress=self.progress,
            source=self.source,
            round_index=self.round_index,
            opponents=found,
        )
        if training.gan.step == step:  # the images of dead branches count as seen
            training.gan.images_seen = self.began + spent * self.batch
            training.keep()
        return training

    def _copy_of(self, snapshot: Snapshot) -> Path:
        return self.folder / f"snapshot_{snapshot.step}"

    def _copy(self, snapshot: Snapshot, training: MonitoredGan) -> None:
        """Copy the state of a snapshot, unless training has gone on from it."""
        if training.gan.step == snapshot.step:
            unfinished = self.folder / "copy"
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(training.partial, unfinished)
            shutil.rmtree(self._copy_of(snapshot), ignore_errors=True)
            unfinished.rename(self._copy_of(snapshot))

    def _drop_copies(self, looks: Sequence[Snapshot]) -> None:
        """Drop all copies but that of the lowest AUC so far."""
        lowest = min(looks, key=lambda look: self._aucs(look)[STACK].auc)
        for look in looks:
            if look != lowest:
                shutil.rmtree(self._copy_of(look), ignore_errors=True)

    # --- probes ----------------------------------------------------------------------------------------------------

    def _aucs(self, snapshot: Snapshot) -> dict[str, AucEstimate]:
        """Return the AUC of each technique on a snapshot, empty before it was probed."""
        return {record.technique: record for record in self.records if snapshot_of(record, self.batch) == snapshot}

    def _probe(self, snapshot: Snapshot, average: TrainableGenerator) -> None:
        """Probe the average of a snapshot and keep the records, unless they are there."""
        if self._aucs(snapshot):
            return
        multiplier, step = snapshot
        self.records += [
            ProbeRecord(
                round=self.round_index,
                seed=self.race.seed,
                technique=technique,
                multiplier=multiplier,
                images=step * self.batch,
                spent=self.spent * self.batch,
                continued=False,
                chosen=False,
                **auc.as_fields(),
            )
            for technique, auc in self.probes.of_generator(average).items()
        ]
        write_atomically(self.folder / PROBES, to_lines(self.records).encode())
        self.probes.meter.save(self.folder / PROBED)

    def _mark(self, snapshot: Snapshot, **outcome: bool) -> None:
        """Say of the probes of a snapshot what came of it."""
        self.records = [
            replace(record, **outcome) if snapshot_of(record, self.batch) == snapshot else record
            for record in self.records
        ]


def snapshot_of(record: ProbeRecord, batch: int) -> Snapshot:
    """Return the snapshot that a probe read."""
    return Snapshot(record.multiplier, record.images // batch)


def read_probes(folder: Path) -> list[ProbeRecord]:
    """Return the probes of a response from its folder, empty if there are none yet."""
    path = folder / PROBES
    return [record for record in parse_lines(path, read_lines(path)) if isinstance(record, ProbeRecord)]
