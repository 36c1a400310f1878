"""Train a GAN and monitor it: after each interval its state is kept if it is sound, and rolled back otherwise."""

import shutil
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning.loggers import Logger

from arena.core.errors import ArenaError
from arena.core.files import SEAL, is_sealed, seal, write_atomically
from arena.core.interruption import Interrupted, stop_at_next_step
from arena.core.machine import as_many_as_pay
from arena.core.progress import Progress
from arena.generators.base import TrainableGenerator
from arena.imaging.images import on_levels, to_uint8
from arena.metrics.neighbours import precision_recall
from arena.metrics.quality import QualityMeter
from arena.race.race import Race
from arena.records.schema import Quality, TrainingRecord, kept_in
from arena.records.store import parse_lines, read_lines, to_lines
from arena.training.gan import OPPONENTS, DivergedError, GanTraining, steps_of
from arena.training.opponents.opponents import Opponents

WATCHED = 512
"""Fakes measured after each interval, or as many as there are reference reals."""
COLLAPSE = 0.25
"""Coverage below this share of the best coverage so far is a collapse."""
CHANCES = 3
"""Faults that end a phase. The faults before the last one are rolled back."""


def train_gan(
    race: Race,
    images: int,
    *,
    partial: Path,
    target: Path,
    progress: Progress,
    source: Path | None = None,
    round_index: int = 0,
    opponents: Opponents | None = None,
) -> list[TrainingRecord]:
    """Train a GAN for ``images`` reals, from a snapshot if an earlier start left one.

    A snapshot that is damaged is not used, and the phase begins again.

    After each interval the average's fakes are measured and the state is kept. If a loss was not finite, or the fakes
    lost their variety, training continues from the last sound state with half the learning rate. The images of the
    interval count as spent, so that every condition has the same budget. What the phase spent is saved beside its state
    (``arena.training.meter``), and is not given back by a roll-back.

    Args:
        race: data, players and budgets.
        images: budget, rounded down to whole batches.
        partial: folder of the last sound state on the way.
        target: folder of the state at the end.
        progress: counts the images.
        source: folder of the state to start from; None for the warm-up, which starts from a new GAN.
        round_index: of the response, which names its random streams.
        opponents: detectors that pull the fakes beside the GAN's own discriminator.

    Returns:
        One record per interval.

    Raises:
        ArenaError: at the third fault.
    """
    before = [] if source is None else read_curve(source)
    if is_sealed(target) and not partial.exists():  # killed before the phase was closed
        return read_curve(target)[len(before) :]
    training = MonitoredGan(
        race, partial=partial, progress=progress, source=source, round_index=round_index, opponents=opponents
    )
    batch = race.schedule.batch
    progress.expect(images, done=training.gan.step * batch)
    training.train(images // batch, race.tracker.logger(f"round_{round_index:02d}/{training.purpose}"))
    training.close(target)
    return training.curve


class MonitoredGan:
    """A GAN in training whose state is kept after each interval. After a kill it continues from there, to the bit.

    A signal within an interval keeps the state of that step as well, in a folder of its own. A roll-back needs the
    state before the interval.

    Its arguments are those of ``train_gan``.
    """

    def __init__(
        self,
        race: Race,
        *,
        partial: Path,
        progress: Progress,
        source: Path | None = None,
        round_index: int = 0,
        opponents: Opponents | None = None,
    ) -> None:
        self.race, self.partial, self.progress = race, partial, progress
        self.before = [] if source is None else read_curve(source)
        generator = race.new_generator()
        assert isinstance(generator, TrainableGenerator)
        self.purpose = "warm-up" if source is None else "respond"
        self.gan = new_gan(race, generator, race.seed_of(self.purpose, round_index, "generator"), opponents)
        self.monitor, self.curve = GanMonitor(race, round_index, self.purpose), list[TrainingRecord]()
        beside = _beside(partial)
        if not is_sealed(partial) and is_sealed(beside):  # killed while one replaced the other
            shutil.rmtree(partial, ignore_errors=True)
            beside.rename(partial)
        if (partial / SEAL).exists() and not is_sealed(partial):
            progress.say(f"{partial}: damaged. This phase begins again.")
            shutil.rmtree(partial)
            shutil.rmtree(_stopped(partial), ignore_errors=True)
        if is_sealed(partial):
            self.gan.load(partial)
            self.gan.meter.restore(partial)
            self.curve = read_curve(partial)[len(self.before) :]
            self.begun = self.gan.step
            self._continue_interval()
        else:
            if source is not None:
                self.gan.load(source)
                self.gan.step = 0
            self.keep()

    def _continue_interval(self) -> None:
        """Load the state of the step at which a signal stopped the interval, if one did."""
        stopped = _stopped(self.partial)
        if is_sealed(stopped) and steps_of(stopped) > self.begun:
            self.gan.load(stopped)
            self.gan.meter.restore(stopped)

    def train(self, until: int, logger: Logger | Literal[False] = False) -> None:
        """Train until a step of the phase, and measure and keep the state after each interval.

        Raises:
            ArenaError: at the third fault.
            Interrupted: on a signal, after the step in which it came, or after the interval was measured.
        """
        every = max(1, self.race.schedule.evaluate_images // self.race.schedule.batch)
        while self.gan.step < until:
            with stop_at_next_step():
                try:
                    self._interval(min(self.begun + every, until), logger)
                except Interrupted as interruption:
                    if interruption.between_steps:
                        _keep(self.gan, [], _stopped(self.partial))
                    raise

    def _interval(self, stop: int, logger: Logger | Literal[False]) -> None:
        """Train until the end of an interval, measure it, and keep its state or the one before it."""
        gan, batch = self.gan, self.race.schedule.batch
        try:
            if gan.step < stop:
                with as_many_as_pay(self.race.data.resolution):
                    callbacks = [self.progress.callback(batch)]
                    self.race.machine.fit(gan, range(gan.step, stop), callbacks=callbacks, logger=logger)
            record = self.monitor(gan, [*self.before, *self.curve])
        except DivergedError as diverged:
            record = self.monitor.record(gan, None, None, f"divergence: {diverged}")
        self.curve.append(record)
        if record.fault:
            _roll_back(gan, self.partial, stop, self.curve, self.progress)
        elif logger:
            shown = {"kernel_distance": record.kernel_distance, "coverage": record.coverage, "images": stop * batch}
            logger.log_metrics({key: value for key, value in shown.items() if value is not None})
        self.keep()

    def keep(self) -> None:
        """Save state and curve atomically."""
        _keep(self.gan, [*self.before, *self.curve], self.partial)
        shutil.rmtree(_stopped(self.partial), ignore_errors=True)
        self.begun = self.gan.step

    def close(self, target: Path) -> None:
        """Move the last sound state to ``target``."""
        seal(self.partial, without=OPPONENTS)  # the next phase has new ones
        (self.partial / OPPONENTS).unlink(missing_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        self.partial.rename(target)


def new_gan(race: Race, generator: TrainableGenerator, seed: int, opponents: Opponents | None = None) -> GanTraining:
    """Return a generator and its own new discriminator, ready to train on the generator's reals."""
    return GanTraining(
        generator=generator,
        discriminator=race.new_discriminator(generator),
        loss=race.loss,
        evidence=race.evidence,
        reals=race.generator_reals.images,
        batch=race.schedule.batch,
        seed=seed,
        opponents=opponents,
        augmentation=race.augmentation,
    )


class GanMonitor:
    """Measures quality and variety of the average's images after each interval.

    The figures are against reference reals, as everywhere. Coverage of the generator's own training reals decides on a
    roll-back, so that nothing of the reference reals affects training.

    ``purpose`` is that of the phase, warm-up or respond.
    """

    def __init__(self, race: Race, round_index: int, purpose: str) -> None:
        self.race, self.round_index, self.purpose = race, round_index, purpose
        reference, train = race.data.part("reference").images, race.generator_reals.images
        self.n = min(WATCHED, len(reference), len(train))
        self.meter = QualityMeter(
            race.features, reference, train, self.n, race.seed_of("memorisation"), race.machine.device
        )
        self.features = race.features.fit(train, race.machine.device)
        self.train = self.features(train[: self.n])

    def __call__(self, gan: GanTraining, before: list[TrainingRecord]) -> TrainingRecord:
        """Return the record of an interval. Its ``fault`` depends on the records before it.

        Raises:
            DivergedError: if a weight is not finite.
        """
        if not all(bool(value.isfinite().all()) for value in gan.ema.state_dict().values()):
            raise DivergedError("a weight is not finite")
        fakes = self.fakes(gan)
        coverage = precision_recall(self.train, self.features(fakes)).coverage
        best = max([record.variety for record in before if record.variety is not None], default=0.0)
        fault = None
        if coverage < COLLAPSE * best:
            fault = f"collapse: coverage of its training images fell from {best:.2f} to {coverage:.2f}"
        return self.record(gan, self.meter.quality(fakes), coverage, fault)

    def fakes(self, gan: GanTraining) -> torch.Tensor:
        """Return images of the average, always of the same z."""
        average = gan.ema.to(self.race.machine.device)
        forged = average.sample({"test": self.n}, self.race.seed_of("watch"))
        return to_uint8(on_levels(forged["test"], self.race.data.levels))

    def record(
        self, gan: GanTraining, quality: Quality | None, variety: float | None, fault: str | None
    ) -> TrainingRecord:
        """Return the record of an interval. One that diverged has no images, and so no quality and no variety."""
        figures: dict[str, Any] = kept_in(TrainingRecord, quality) | {"n": self.n}
        scalars = gan.figures_of_opponents()
        return TrainingRecord(
            round=self.round_index,
            seed=self.race.seed,
            purpose=self.purpose,
            images=gan.step * gan.batch,
            images_seen=gan.images_seen,
            variety=variety,
            augmentation=float(gan.augmenter.probability),
            learning_rate=gan.learning_rate,
            fault=fault,
            opponents={name: float(value) for name, value in scalars.items() if value.isfinite()},
            **figures,
        )


def _roll_back(gan: GanTraining, sound: Path, stop: int, curve: list[TrainingRecord], progress: Progress) -> None:
    """Return to the last sound state with half the learning rate. The images of the interval count as spent.

    Raises:
        ArenaError: if that was the last chance.
    """
    faults = [record.fault for record in curve if record.fault]
    if len(faults) >= CHANCES:
        raise ArenaError(
            f"generator.learning_rate={gan.generator.learning_rate}: the GAN went wrong {len(faults)} times in one "
            f"phase ({faults[-1]}); expected a smaller one, or a larger loss.gamma"
        )
    rate = gan.learning_rate / 2
    gan.load(sound)
    gan.images_seen += (stop - gan.step) * gan.batch
    gan.step, gan.learning_rate = stop, rate
    progress.say(f"{faults[-1]}. Training continues from the last sound state with learning rate {rate:g}.")


def read_curve(folder: Path) -> list[TrainingRecord]:
    """Return the records of all intervals that led to a saved state, over the generator's whole life."""
    path = folder / "curve.jsonl"
    return [record for record in parse_lines(path, read_lines(path)) if isinstance(record, TrainingRecord)]


def _keep(gan: GanTraining, curve: list[TrainingRecord], folder: Path) -> None:
    """Save state and curve atomically: at any moment one of the two folders is done."""
    beside = _beside(folder)
    shutil.rmtree(beside, ignore_errors=True)
    gan.save(beside)
    gan.meter.save(beside)
    write_atomically(beside / "curve.jsonl", to_lines(curve).encode())
    seal(beside)
    (folder / SEAL).unlink(missing_ok=True)  # from here on the folder beside it counts
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _stopped(folder: Path) -> Path:
    """Return the folder of the state at which a signal stopped an interval."""
    return folder.with_name(folder.name + ".stopped")


def _beside(folder: Path) -> Path:
    return folder.with_name(folder.name + ".next")
