"""Step 7, respond: train G_r into G_{r+1} against the pool of detectors it may know."""

from arena.arena import Arena
from arena.detectors.scoring import score
from arena.phases.phase import Finding
from arena.phases.retrain import LoopReals
from arena.phases.testing import load_detector
from arena.phases.train import train_gan
from arena.progress import Progress
from arena.records import RecordBook
from arena.training.pressure import PoolPressure


def respond(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Train G_round by its GAN loss and by the pressure of the pool, for the budget every condition has.

    Generator, discriminator, EMA and optimizer state carry over from round to round.
    """
    images = arena.schedule.response_images
    source, target = arena.folder(round) / "gan", arena.folder(round + 1) / "gan"
    partial = arena.run / "checkpoints" / "partial"
    pressure = pool_pressure(arena, round)
    curve = train_gan(arena, progress, round, source, partial, target, images, pressure)
    return Finding([*curve], images)


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
