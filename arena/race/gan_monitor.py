"""Train a GAN under watch, interval by interval: kept while it is sound, rolled back where it is not."""

import shutil
from pathlib import Path

import torch

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.core.progress import Progress
from arena.core.threads import as_many_as_pay
from arena.generators.base import TrainableGenerator
from arena.imaging.images import on_levels, to_uint8
from arena.metrics.neighbours import precision_recall
from arena.metrics.quality import Quality, QualityMeter
from arena.race.race import Race
from arena.records.schema import TrainingRecord, to_json
from arena.records.store import from_line
from arena.training.gan import DetectorLoss, DivergedError, GanTraining
from arena.training.machine import step_loader

WATCHED = 512
"""Fakes looked at after each interval, or as many as there are reference reals."""
COLLAPSE = 0.25
"""Coverage below this share of the best there was is a collapse."""
CHANCES = 3
"""At the third fault of a phase it is given up; the two before it are rolled back."""


def train_gan(
    race: Race,
    progress: Progress,
    round_index: int,
    source: Path | None,
    partial: Path,
    target: Path,
    images: int,
    detector_loss: DetectorLoss | None,
) -> list[TrainingRecord]:
    """Train a GAN for ``images`` reals, going on from a snapshot where a kill left one.

    After each interval the average's fakes are measured, and the state is kept. Where a loss was not finite, or the
    fakes have lost their variety, it goes on from the last sound state with half the learning rate; the images of the
    interval are spent all the same, so that every condition gets as many.

    Args:
        arena: the race.
        progress: is told of every step.
        round_index: of the response, which names its random streams; the warm-up is round 0 without a source.
        source: folder of the state to start from, None for a new GAN.
        partial: folder of the last sound state on the way.
        target: folder of the state at the end.
        images: budget, rounded down to whole batches.
        detector_loss: of the attacked detectors, added to the GAN's own; None for none.

    Returns:
        What was seen after each interval.

    Raises:
        ArenaError: where the GAN has gone wrong for the third time.
    """
    before = [] if source is None else read_curve(source)
    if (target / "done").exists() and not partial.exists():  # killed before the phase was closed
        return read_curve(target)[len(before) :]
    generator = race.new_generator()
    assert isinstance(generator, TrainableGenerator)
    purpose = "warm-up" if source is None else "respond"
    gan = new_gan(race, generator, race.seed_of(purpose, round_index, "generator"), detector_loss)
    watch, curve = GanMonitor(race, round_index, purpose), list[TrainingRecord]()
    beside = _beside(partial)
    if not (partial / "done").exists() and (beside / "done").exists():  # killed while one took the other's place
        shutil.rmtree(partial, ignore_errors=True)
        beside.rename(partial)
    if (partial / "done").exists():
        gan.load(partial)
        curve = read_curve(partial)[len(before) :]
    else:
        if source is not None:
            gan.load(source)
            gan.step = 0
        _keep(gan, [*before, *curve], partial)
    batch = race.schedule.batch
    steps, every = images // batch, max(1, race.schedule.evaluate_images // batch)
    logger = race.tracker.logger(f"round_{round_index:02d}/{purpose}")
    progress.expect(images, done=gan.step * batch)
    while gan.step < steps:
        stop = min(gan.step + every, steps)
        try:
            with as_many_as_pay(race.data.resolution):
                race.machine.fit(gan, step_loader(gan.step, stop), callbacks=[progress.callback(batch)], logger=logger)
            seen = watch(gan, [*before, *curve])
        except DivergedError as diverged:
            seen = watch.diverged(gan, diverged)
        curve.append(seen)
        if seen.fault:
            _roll_back(gan, partial, stop, curve, progress)
        elif logger:
            shown = {"kernel_distance": seen.kernel_distance, "coverage": seen.coverage, "images": stop * batch}
            logger.log_metrics({key: value for key, value in shown.items() if value is not None})
        _keep(gan, [*before, *curve], partial)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)
    return curve


def new_gan(
    race: Race, generator: TrainableGenerator, seed: int, detector_loss: DetectorLoss | None = None
) -> GanTraining:
    """The generator and its own new discriminator, ready to train on generator-train."""
    return GanTraining(
        generator=generator,
        discriminator=race.new_discriminator(generator),
        loss=race.loss,
        evidence=race.evidence,
        reals=race.generator_reals.images,
        batch=race.schedule.batch,
        seed=seed,
        detector_loss=detector_loss,
        augmentation=race.augmentation,
    )


class GanMonitor:
    """Looks at a GAN after each interval: how good the average's images are, and whether they are still varied.

    The figures are against reference reals, as everywhere. Whether to roll back is decided on generator-train, which
    the GAN knows anyway: nothing of the reference reals may find its way into training.

    Args:
        arena: the race.
        round: of the phase.
        purpose: of the phase, warm-up or respond.
    """

    def __init__(self, race: Race, round_index: int, purpose: str) -> None:
        self.arena, self.round, self.purpose = race, round_index, purpose
        reference, train = race.data.part("reference").images, race.generator_reals.images
        self.n = min(WATCHED, len(reference), len(train))
        self.meter = QualityMeter(
            race.features, reference, train, self.n, race.seed_of("memorisation"), race.machine.device
        )
        self.features = race.features.fit(train, race.machine.device)
        self.train = self.features(train[: self.n])

    def __call__(self, gan: GanTraining, before: list[TrainingRecord]) -> TrainingRecord:
        """What there is to see, and what is wrong with it, given what was seen before.

        Raises:
            DivergedError: where a weight is not finite.
        """
        if not all(bool(value.isfinite().all()) for value in gan.ema.state_dict().values()):
            raise DivergedError("a weight is not finite")
        fakes = self._fakes(gan)
        coverage = precision_recall(self.train, self.features(fakes)).coverage
        best = max([seen.variety for seen in before if seen.variety is not None], default=0.0)
        collapsed = coverage < COLLAPSE * best
        fault = (
            f"collapse: coverage of its training images fell from {best:.2f} to {coverage:.2f}" if collapsed else None
        )
        return self._record(gan, self.meter.quality(fakes), coverage, fault)

    def diverged(self, gan: GanTraining, error: DivergedError) -> TrainingRecord:
        """Of an interval that ended without images to look at."""
        return self._record(gan, None, None, f"divergence: {error}")

    def _fakes(self, gan: GanTraining) -> torch.Tensor:
        """Images of the average, always of the same z."""
        race = self.arena
        average = gan.ema.to(race.machine.device)
        forged = average.forge({"test": self.n}, race.seed_of("watch"), race.generator_reals)
        return to_uint8(on_levels(forged["test"], race.data.levels))

    def _record(
        self, gan: GanTraining, quality: Quality | None, variety: float | None, fault: str | None
    ) -> TrainingRecord:
        return TrainingRecord(
            round=self.round,
            seed=self.arena.seed,
            purpose=self.purpose,
            images=gan.step * gan.batch,
            images_seen=gan.images_seen,
            n=self.n,
            kernel_distance=quality and quality.kernel_distance,
            kernel_distance_error=quality and quality.kernel_distance_error,
            precision=quality and quality.precision,
            recall=quality and quality.recall,
            coverage=quality and quality.coverage,
            memorisation=quality and quality.memorisation,
            memorisation_low=quality and quality.memorisation_low,
            memorisation_high=quality and quality.memorisation_high,
            variety=variety,
            augmentation=float(gan.augmenter.probability),
            learning_rate=gan.learning_rate,
            fault=fault,
        )


def _roll_back(gan: GanTraining, sound: Path, stop: int, curve: list[TrainingRecord], progress: Progress) -> None:
    """Go on from the last sound state with half the learning rate, the interval's images spent.

    Raises:
        ArenaError: where that was the last chance.
    """
    faults = [seen.fault for seen in curve if seen.fault]
    if len(faults) >= CHANCES:
        raise ArenaError(
            f"generator.learning_rate={gan.generator.learning_rate}: the GAN went wrong {len(faults)} times in one "
            f"phase ({faults[-1]}); expected a smaller one, or a larger loss.gamma"
        )
    rate = gan.learning_rate / 2
    gan.load(sound)
    gan.images_seen += (stop - gan.step) * gan.batch
    gan.step, gan.learning_rate = stop, rate
    progress.say(f"{faults[-1]}: going on from the last sound state, learning rate {rate:g}")


def read_curve(folder: Path) -> list[TrainingRecord]:
    """What was seen on the way to the state saved there, over the generator's whole life."""
    path = folder / "curve.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    records = [from_line(path, number, line) for number, line in enumerate(lines, 1)]
    return [record for record in records if isinstance(record, TrainingRecord)]


def _keep(gan: GanTraining, curve: list[TrainingRecord], folder: Path) -> None:
    """Save state and curve, whole or not at all: at any moment one of the two folders is done."""
    beside = _beside(folder)
    shutil.rmtree(beside, ignore_errors=True)
    gan.save(beside)
    write_atomically(beside / "curve.jsonl", "".join(to_json(seen) + "\n" for seen in curve).encode())
    (beside / "done").touch()
    (folder / "done").unlink(missing_ok=True)  # from here on the copy beside it counts
    shutil.rmtree(folder, ignore_errors=True)
    beside.rename(folder)


def _beside(folder: Path) -> Path:
    return folder.with_name(folder.name + ".next")
