import math
from collections import Counter

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from arena.core.seeding import derive_seed
from arena.detectors.base import FittedDetector
from arena.generators.dcgan import DcganGenerator
from arena.imaging.evidence import Evidence
from arena.training.attack import Access, Fool, Match, Member, Pool, PoolLoss
from arena.training.gan import GanTraining
from arena.training.losses import Logistic
from tests.detectors.planted import CONF, CPU, build

TECHNIQUES = ["cnn", "dct", "spectrum"]
REALS = torch.zeros(1, 5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Access.


def access(name, held_out=()) -> Access:
    config = OmegaConf.load(CONF / "access" / f"{name}.yaml")
    return instantiate(config, held_out=list(held_out), _convert_="all")


@pytest.mark.parametrize(
    ("name", "held_out", "differentiable", "attacked"),
    [
        ("white_box", [], True, True),
        ("white_box", [], False, False),
        ("white_box", ["dct"], True, True),
        ("white_box", ["cnn"], True, False),
        ("none", [], True, False),
        ("placebo", [], True, True),
        ("placebo", ["cnn"], True, False),
    ],
)
def test_attacked_techniques_are_differentiable_and_not_held_out(name, held_out, differentiable, attacked):
    assert access(name, held_out).attacks("cnn", differentiable) is attacked


def test_placebo_differs_from_white_box_in_the_reals_of_its_detectors():
    white_box, none, placebo = (access(name) for name in ("white_box", "none", "placebo"))
    assert (white_box.gradients, placebo.gradients, none.gradients) == (True, True, False)
    assert (white_box.reals, placebo.reals, none.reals) == ("detector", "generator", "detector")
    assert [condition.name for condition in (white_box, none, placebo)] == ["white_box", "none", "placebo"]


# Objectives.


@given(logits=st.lists(st.floats(-30, 30), min_size=1, max_size=6), weight=st.floats(0.01, 10))
@settings(max_examples=40, deadline=None)
def test_fool_is_the_mean_cross_entropy_of_the_label_real(logits, weight):
    # -log(1 - sigmoid(x)) = log(1 + e^x)
    expected = weight * sum(math.log1p(math.exp(x)) for x in logits) / len(logits)
    loss = Fool(weight=weight)(torch.tensor([logits], dtype=torch.float64), REALS)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_fool_has_the_gradient_of_the_cross_entropy():
    logits = torch.zeros(3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(Fool(weight=1.0)(logits, REALS), logits)
    torch.testing.assert_close(gradient, torch.full((3, 4), 0.5 / 12))  # sigmoid(0) over twelve logits


def test_match_is_zero_for_equal_logits_alone():
    reals = torch.tensor([[-1.0, 0.0, 1.0, 2.0], [5.0, 6.0, 8.0, 9.0]])
    match = Match(weight=1.0)
    assert float(match(reals, reals)) == pytest.approx(0.0, abs=1e-12)
    for other in (reals + 0.5, reals - 0.5, reals * 2, reals * 0.5):
        assert float(match(other, reals)) > 0.01


@pytest.mark.parametrize(("objective", "low", "high"), [(Match(weight=1.0), 0.47, 0.53), (Fool(weight=1.0), 0, 0.05)])
def test_match_aims_at_auc_one_half_and_fool_at_zero(objective, low, high):
    reals = torch.randn(1, 500, generator=rng(0))
    fakes = torch.randn(1, 500, generator=rng(1)).add(3).requires_grad_()
    descent = torch.optim.Adam([fakes], lr=0.05)
    for _ in range(400):
        descent.zero_grad()
        objective(fakes, reals).backward()
        descent.step()
    assert low <= float((fakes > reals.T).float().mean()) <= high


# Pool.


def test_memory_all_has_every_round_and_last_only_one():
    everyone = Pool("all", sample=3).members(TECHNIQUES, 2)
    assert set(everyone) == {Member(technique, round_index) for technique in TECHNIQUES for round_index in (0, 1, 2)}
    assert len(everyone) == 9
    assert Pool("last", sample=3).members(TECHNIQUES, 2) == [Member(technique, 2) for technique in TECHNIQUES]
    assert Pool("all", 1).members([], 3) == []


@pytest.mark.parametrize(("sample", "expected"), [(1, 1), (3, 3), (9, 9), (50, 9)])
def test_a_draw_has_distinct_members_as_many_as_the_sample_or_all(sample, expected):
    members = Pool("all", sample).members(TECHNIQUES, 2)
    draw = Pool("all", sample).draw(members, rng())
    assert len(draw) == len(set(draw)) == expected
    assert set(draw) <= set(members)
    torch.manual_seed(1)
    assert Pool("all", sample).draw(members, rng()) == draw  # the given stream alone matters


def test_all_members_are_drawn_equally_often():
    pool, stream = Pool("all", 2), rng()
    members = pool.members(["cnn", "dct"], 3)
    counts = Counter(member for _ in range(2000) for member in pool.draw(members, stream))
    # 500 each; five binomial deviations are 97.
    assert all(abs(counts[member] - 500) < 97 for member in members)


# Loss of the pool.


def detectors(rounds=2):
    """Build a pool of detectors as in the middle of a race: slightly trained, and in training mode."""
    pool = {}
    for seed, member in enumerate(Pool("all", 1).members(TECHNIQUES, rounds - 1)):
        detector = build(member.technique, seed=seed)
        for tensor in detector.state_dict().values():
            if tensor.dtype == torch.float32:
                tensor.add_(0.1 * torch.rand(tensor.shape, generator=rng(seed)))
        if isinstance(detector, FittedDetector):
            features = detector.features(torch.zeros(1, 1, 8, 8)).shape[1]
            detector.head.weight = torch.rand(features, generator=rng(seed), dtype=torch.float64)
        pool[member] = detector.train()
    return pool


def tensors(pool):
    return {(*member, name): value.clone() for member in pool for name, value in pool[member].state_dict().items()}


def batch(requires_grad=True):
    return (torch.rand(4, 1, 8, 8, generator=rng()) * 2 - 1).requires_grad_(requires_grad)


def pool_loss(pool, sample, objective):
    """Return the loss of a pool with ten real logits for each detector."""
    reals = {member: torch.randn(10, generator=rng(k)) for k, member in enumerate(pool)}
    return PoolLoss(pool, reals, Pool("all", sample), objective)


@pytest.mark.parametrize("objective", [Fool(weight=0.7), Match(weight=0.7)])
def test_the_loss_is_the_objective_of_the_drawn_detectors_logits(objective):
    pool = detectors()
    fakes, loss = batch(requires_grad=False), pool_loss(pool, 2, objective)
    drawn = Pool("all", 2).draw(list(pool), rng(derive_seed(3, "pool")))
    expected = [objective(pool[member](fakes)[None], loss.real_logits[member][None]) for member in drawn]
    torch.testing.assert_close(loss(fakes, rng(3)), torch.stack(expected).mean())


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_gradient_reaches_the_fakes_and_no_parameter(technique):
    pool = {member: detector for member, detector in detectors().items() if member.technique == technique}
    fakes = batch()
    pool_loss(pool, 2, Fool(1.0))(fakes, rng()).backward()
    assert fakes.grad is not None
    assert fakes.grad.isfinite().all()
    assert (fakes.grad.flatten(1).norm(dim=1) > 0).all()
    for detector in pool.values():
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in detector.parameters())


def test_detectors_stay_in_eval_mode_and_keep_their_buffers():
    pool = detectors()
    loss = pool_loss(pool, 3, Fool(1.0))
    before = tensors(pool)
    above = torch.nn.ModuleDict({"loss": loss})
    stream = rng()
    for _ in range(5):
        above.train()
        loss(batch(), stream).backward()
    assert not any(detector.training for detector in pool.values())
    after = tensors(pool)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_whole_response_moves_the_generator_and_not_the_attacked_detectors():
    def respond(detector_loss):
        torch.manual_seed(0)
        generator = DcganGenerator(resolution=8, channels=1, levels=17, width=16, z_dim=6)
        gan = GanTraining(
            generator=generator,
            discriminator=generator.discriminator(generator.resolution),
            loss=Logistic(interval=4, ema_images=100),
            evidence=Evidence(levels=17),
            reals=torch.randint(0, 256, (40, 1, 8, 8), dtype=torch.uint8, generator=rng(1)),
            batch=8,
            seed=1,
            detector_loss=detector_loss,
        )
        CPU.fit(gan, range(6))
        assert gan.step == 6
        return torch.cat([parameter.detach().flatten() for parameter in generator.parameters()])

    pool = detectors()
    before = tensors(pool)
    attacked = respond(pool_loss(pool, 3, Fool(1.0)))
    after = tensors(pool)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not torch.equal(attacked, respond(None))
