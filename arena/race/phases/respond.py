"""Step 7, respond: train G_r into G_{r+1} against the pool of detectors that it has gradients of."""

from arena.core.progress import Progress
from arena.detectors.gallery import score
from arena.race.checkpoints import load_detector
from arena.race.gan_monitor import train_gan
from arena.race.phases.retrain import LoopReals
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.training.attack import PoolLoss


def respond(race: Race, round_index: int, progress: Progress) -> PhaseOutput:
    """Train G_round by its GAN loss and the detector loss of the pool, with the budget of every condition.

    Generator, discriminator, EMA and optimizer state carry over from round to round.
    """
    images, layout = race.schedule.response_images, race.layout
    curve = train_gan(
        race,
        images,
        source=layout.gan(round_index),
        partial=layout.partial_gan,
        target=layout.gan(round_index + 1),
        round_index=round_index,
        detector_loss=detector_loss(race, round_index),
        progress=progress,
    )
    return PhaseOutput([*curve], images)


def detector_loss(race: Race, round_index: int) -> PoolLoss | None:
    """Return the loss of the detectors that a response to this round attacks. None without any."""
    members = race.pool.members(race.attacked, round_index)
    if not members:
        return None
    detectors = {member: load_detector(race, member.technique, member.round) for member in members}
    reals = LoopReals.of(race).validation  # they stopped the detectors, and trained none
    real_logits = {
        member: score(detector, reals, race.evidence).to(race.machine.device) for member, detector in detectors.items()
    }
    return PoolLoss(detectors, real_logits, race.pool, race.objective)
