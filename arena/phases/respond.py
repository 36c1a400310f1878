"""Step 7, respond: train G_r into G_{r+1} against the pool of detectors it may know."""

import shutil
from pathlib import Path

import pytorch_lightning as pl

from arena.arena import Arena
from arena.detectors.scoring import score
from arena.generators.generator import TrainableGenerator
from arena.phases.confront import load_detector
from arena.phases.phase import Finding
from arena.phases.retrain import LoopReals
from arena.progress import Progress
from arena.records import RecordBook
from arena.training.gan import GanTraining, Pressure
from arena.training.pressure import PoolPressure
from arena.training.trainer import ticks


def respond(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Train G_round by its GAN loss and by the pressure of the pool, for the budget every condition has.

    Generator, discriminator, EMA and optimizer state carry over from round to round.
    """
    images = arena.schedule.response_images
    source, target = arena.folder(round) / "gan", arena.folder(round + 1) / "gan"
    partial = arena.run / "checkpoints" / "partial"
    train_gan(arena, progress, round, source, partial, target, images, pressure=pool_pressure(arena, round))
    return Finding([], images)


def pool_pressure(arena: Arena, round: int) -> PoolPressure | None:
    """The pressure of the detectors a response to this round may know; None where it may know none."""
    told = [technique for technique in arena.members if arena.told(technique)]
    members = arena.pool.members(told, round)
    if not members:
        return None
    detectors = {member: load_detector(arena, member.technique, member.round) for member in members}
    reals = LoopReals.of(arena).validation  # they stopped the detectors, but trained none
    real_logits = {
        member: score(detector, reals, arena.evidence).to(arena.machine.device)
        for member, detector in detectors.items()
    }
    return PoolPressure(detectors, real_logits, arena.pool, arena.objective)


def train_gan(
    arena: Arena,
    progress: Progress,
    round: int,
    source: Path | None,
    partial: Path,
    target: Path,
    images: int,
    pressure: Pressure | None,
) -> None:
    """Train a GAN for ``images`` reals, going on from a snapshot where a kill left one.

    Args:
        arena: the race.
        progress: is told of every step.
        round: of the response, which names its random streams; the warm-up is round 0 without a source.
        source: folder of the state to start from, None for a new GAN.
        partial: folder of the snapshots on the way.
        target: folder of the state at the end.
        images: budget, rounded down to whole batches.
        pressure: what detectors tell the generator, if anything.
    """
    generator = arena.new_generator()
    assert isinstance(generator, TrainableGenerator)
    purpose = "warm-up" if source is None else "respond"
    gan = new_gan(arena, generator, arena.seed_of(purpose, round, "generator"), pressure)
    if (partial / "done").exists():
        gan.load(partial)
    elif source is not None:
        gan.load(source)
        gan.step = 0
    steps = images // arena.schedule.batch
    every = max(1, arena.schedule.snapshot_images // arena.schedule.batch)
    logger = arena.tracker.logger(f"round_{round:02d}/{purpose}")
    progress.expect(images, done=gan.step * arena.schedule.batch)
    callbacks = [progress.callback(arena.schedule.batch), Snapshots(partial, every)]
    arena.machine.fit(gan, ticks(gan.step, steps), callbacks=callbacks, logger=logger)
    gan.save(target)
    shutil.rmtree(partial, ignore_errors=True)


def new_gan(arena: Arena, generator: TrainableGenerator, seed: int, pressure: Pressure | None = None) -> GanTraining:
    """The generator and its own new discriminator, ready to train on generator-train."""
    return GanTraining(
        generator=generator,
        discriminator=arena.new_discriminator(generator),
        loss=arena.loss,
        evidence=arena.evidence,
        reals=arena.generator_reals.images,
        batch=arena.schedule.batch,
        seed=seed,
        pressure=pressure,
    )


class Snapshots(pl.Callback):
    """Save the whole state of a GAN every so many steps, whole or not at all.

    Args:
        folder: of the latest snapshot.
        every: steps.
    """

    def __init__(self, folder: Path, every: int) -> None:
        self.folder, self.every = folder, every

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Save at the interval."""
        assert isinstance(pl_module, GanTraining)
        if pl_module.step % self.every == 0:
            beside = self.folder.with_name(self.folder.name + ".next")
            shutil.rmtree(beside, ignore_errors=True)
            pl_module.save(beside)
            (beside / "done").touch()
            shutil.rmtree(self.folder, ignore_errors=True)
            beside.rename(self.folder)
