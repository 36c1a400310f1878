"""Step 7, respond: train G_r into G_{r+1} against the pool of detectors it may know."""

from arena.core.progress import Progress
from arena.detectors.gallery import score
from arena.race.gan_monitor import train_gan
from arena.race.judging import load_detector
from arena.race.phases.retrain import LoopReals
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.store import RecordBook
from arena.training.attack import PoolLoss


def respond(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Train G_round by its GAN loss and by the detector loss of the pool, for the budget every condition has.

    Generator, discriminator, EMA and optimizer state carry over from round to round.
    """
    images = race.schedule.response_images
    source, target = race.folder(round_index) / "gan", race.folder(round_index + 1) / "gan"
    partial = race.run / "checkpoints" / "partial"
    loss = detector_loss(race, round_index)
    curve = train_gan(race, progress, round_index, source, partial, target, images, loss)
    return PhaseOutput([*curve], images)


def detector_loss(race: Race, round_index: int) -> PoolLoss | None:
    """The loss of the detectors that a response to this round may attack. None without any."""
    told = [technique for technique in race.members if race.told(technique)]
    members = race.pool.members(told, round_index)
    if not members:
        return None
    detectors = {member: load_detector(race, member.technique, member.round) for member in members}
    reals = LoopReals.of(race).validation  # they stopped the detectors, but trained none
    real_logits = {
        member: score(detector, reals, race.evidence).to(race.machine.device) for member, detector in detectors.items()
    }
    return PoolLoss(detectors, real_logits, race.pool, race.objective)
