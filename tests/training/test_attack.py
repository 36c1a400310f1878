import pytest
import pytorch_lightning as pl
import torch

from arena.core.seeding import derive_seed
from arena.detectors.base import FittedDetector
from arena.generators.dcgan import DcganGenerator
from arena.imaging.evidence import Evidence
from arena.training.attack import Fool, Match, Member, Pool, PoolLoss
from arena.training.gan import GanTraining
from arena.training.losses import Logistic
from arena.training.machine import step_loader
from tests.detectors.planted import CPU, build

TECHNIQUES = ["cnn", "dct", "spectrum"]


def detectors(rounds=2):
    """A pool of detectors as they are in the middle of a race: trained a little, and in training mode."""
    pool = {}
    for seed, member in enumerate(Pool("all", 1).members(TECHNIQUES, rounds - 1)):
        detector = build(member.technique, seed=seed)
        for tensor in detector.state_dict().values():
            if tensor.dtype == torch.float32:
                tensor.add_(0.1 * torch.rand(tensor.shape, generator=torch.Generator().manual_seed(seed)))
        if isinstance(detector, FittedDetector):
            features = detector.features(torch.zeros(1, 1, 8, 8)).shape[1]
            detector.head.weight = torch.rand(features, generator=rng(seed), dtype=torch.float64)
        pool[member] = detector.train()
    return pool


def tensors(pool):
    return {(*member, name): value.clone() for member in pool for name, value in pool[member].state_dict().items()}


def batch(requires_grad=True):
    return (torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1).requires_grad_(requires_grad)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def press(pool, sample, objective):
    """Pressure of a pool, whose logits on reals are 10 numbers each."""
    reals = {member: torch.randn(10, generator=rng(k)) for k, member in enumerate(pool)}
    return PoolLoss(pool, reals, Pool("all", sample), objective)


def test_it_is_the_objective_of_the_logits_of_those_drawn():
    pool, fool = detectors(), Fool(weight=0.7)
    fakes = batch(requires_grad=False)
    found = press(pool, 2, fool)(fakes, rng(3))
    drawn = Pool("all", 2).draw(list(pool), rng(derive_seed(3, "pool")))
    expected = sum(fool(pool[member].eval()(fakes)[None], torch.zeros(1, 10)) for member in drawn) / 2
    torch.testing.assert_close(found, expected)


def test_fakes_are_compared_with_the_reals_of_the_same_detector():
    pool, match = detectors(), Match(weight=0.7)
    fakes = batch(requires_grad=False)
    detector_loss = press(pool, 1, match)
    (member,) = Pool("all", 1).draw(list(pool), rng(derive_seed(3, "pool")))
    expected = match(pool[member].eval()(fakes)[None], detector_loss.real_logits[member][None])
    torch.testing.assert_close(detector_loss(fakes, rng(3)), expected)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_gradient_reaches_the_fakes_and_no_parameter(technique):
    pool = {member: detector for member, detector in detectors().items() if member.technique == technique}
    fakes = batch()
    press(pool, 2, Fool(1.0))(fakes, rng()).backward()
    assert fakes.grad is not None
    assert fakes.grad.isfinite().all()
    assert (fakes.grad.flatten(1).norm(dim=1) > 0).all()
    for detector in pool.values():
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in detector.parameters())


def test_no_buffer_changes_though_the_module_above_is_put_in_training_mode():
    pool = detectors()
    detector_loss = press(pool, 3, Fool(1.0))
    before = tensors(pool)
    above = torch.nn.ModuleDict({"detector_loss": detector_loss})
    stream = rng()
    for _ in range(20):
        above.train()
        detector_loss(batch(), stream).backward()
    assert not any(detector.training for detector in pool.values())
    after = tensors(pool)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_whole_response_leaves_the_attacked_detectors_as_they_were_and_moves_the_generator():
    def respond(detector_loss):
        torch.manual_seed(0)
        generator = DcganGenerator(resolution=8, channels=1, levels=17, width=16, z_dim=6)
        gan = GanTraining(
            generator=generator,
            discriminator=generator.discriminator(generator.resolution),
            loss=Logistic(gamma=None, interval=4, beta1=0.0, beta2=0.99, ema_images=100, ema_ramp=0.05),
            evidence=Evidence(levels=17),
            reals=torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=rng(1)),
            batch=8,
            seed=1,
            detector_loss=detector_loss,
        )
        pl.LightningModule.train(gan)
        CPU.fit(gan, step_loader(0, 6))
        assert detector_loss is None or gan.step == 6
        return torch.cat([parameter.detach().flatten() for parameter in generator.parameters()])

    pool = detectors()
    before = tensors(pool)
    pressed = respond(press(pool, 3, Fool(1.0)))
    after = tensors(pool)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not torch.equal(pressed, respond(None))


def test_a_step_asks_as_many_as_the_sample_and_in_time_everyone():
    asked: list[Member] = []
    pool = detectors()
    for member, detector in pool.items():
        detector.register_forward_hook(lambda *_, member=member: asked.append(member))
    detector_loss = press(pool, 2, Fool(1.0))
    for step in range(1, 31):
        detector_loss(batch(requires_grad=False), rng(step))
        assert len(asked) == 2 * step
    assert set(asked) == set(pool)
