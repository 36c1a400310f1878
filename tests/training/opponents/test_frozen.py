import math
from collections import Counter

import pytest
import torch

from arena.core.seeding import derive_seed
from arena.detectors.base import FittedDetector
from arena.generators.dcgan import DcganGenerator
from arena.imaging.evidence import Evidence
from arena.training.gan import GanTraining
from arena.training.losses import Logistic
from arena.training.objectives import Fool, Match
from arena.training.opponents.frozen import FrozenOpponents, Member, Pool
from tests.detectors.planted import CPU, build

TECHNIQUES = ["cnn", "dct", "spectrum"]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_memory_all_has_every_round_and_last_only_one():
    everyone = Pool("all", sample=3).members(TECHNIQUES, 2)
    assert set(everyone) == {Member(technique, round_index) for technique in TECHNIQUES for round_index in (0, 1, 2)}
    assert len(everyone) == 9
    assert Pool("last", sample=3).members(TECHNIQUES, 2) == [Member(technique, 2) for technique in TECHNIQUES]
    assert Pool("all", 1).members([], 3) == []


def test_a_draw_depends_on_the_given_stream_alone():
    pool = Pool("all", 2)
    members = pool.members(TECHNIQUES, 2)
    draw = pool.draw(members, rng())
    torch.manual_seed(1)
    assert pool.draw(members, rng()) == draw


@pytest.mark.parametrize("rounds", [0, 1, 3])
@pytest.mark.parametrize("techniques", [2, 3, 5])
@pytest.mark.parametrize("sample", [1, 3])
def test_every_step_has_the_newest_and_the_same_total_weight(rounds, techniques, sample):
    pool, names = Pool("all", sample, newest=0.75), ["cnn", "dct", "spectrum", "gram", "fft"][:techniques]
    members, stream = pool.members(names, rounds), rng()
    for _ in range(20):
        draw = pool.draw(members, stream)
        drawn = {member.technique for member in draw}
        assert len(drawn) == min(sample, techniques)
        assert len(draw) == len(drawn) + (0 if rounds == 0 else 1)
        assert sum(draw.values()) == pytest.approx(techniques)
        for technique in drawn:
            share = 1.0 if rounds == 0 else 0.75
            assert draw[Member(technique, rounds)] == pytest.approx(share * techniques / len(drawn))


@pytest.mark.parametrize(("techniques", "sample", "rounds"), [(3, 3, 2), (3, 1, 4), (5, 2, 1), (2, 9, 3), (4, 2, 0)])
def test_the_expected_weight_of_a_technique_is_1_in_every_round(techniques, sample, rounds):
    """Enumerate all draws of a step. They are equally likely."""
    pool, names = Pool("all", sample, newest=0.75), ["cnn", "dct", "spectrum", "gram", "fft"][:techniques]
    members, stream, draws = pool.members(names, rounds), rng(), 4000
    counts = Counter(tuple(sorted(pool.draw(members, stream).items())) for _ in range(draws))
    drawn = min(sample, techniques)
    assert len(counts) == math.comb(techniques, drawn) * (drawn * rounds if rounds else 1)
    likely = draws / len(counts)
    assert all(abs(count - likely) < 5 * math.sqrt(likely) + 1 for count in counts.values())
    expected = dict.fromkeys(members, 0.0)
    for draw in counts:
        for member, weight in draw:
            expected[member] += weight / len(counts)
    for technique in names:
        of_technique = [expected[Member(technique, r)] for r in range(rounds + 1)]
        assert sum(of_technique) == pytest.approx(1)
        assert of_technique == pytest.approx([*[0.25 / max(rounds, 1)] * rounds, 0.75 if rounds else 1.0])


def test_the_share_of_the_newest_may_be_all():
    pool = Pool("all", 3, newest=1.0)
    assert pool.draw(pool.members(TECHNIQUES, 2), rng()) == {Member(technique, 2): 1.0 for technique in TECHNIQUES}


# Pull of the pool.


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


def attack(pool, sample, objective):
    """Return a pool with ten real logits for each detector."""
    reals = {member: torch.randn(10, generator=rng(k)) for k, member in enumerate(pool)}
    return FrozenOpponents(pool, reals, Pool("all", sample), objective)


OWN = torch.zeros(4, 1, 8, 8)


@pytest.mark.parametrize("objective", [Fool(weight=0.7), Match(weight=0.7)])
def test_the_pull_is_the_gradient_of_the_objective_of_the_drawn_detectors_logits(objective):
    pool = detectors()
    fakes, opponents = batch(), attack(pool, 2, objective)
    drawn = Pool("all", 2).draw(list(pool), rng(derive_seed(3, "pool")))
    assert len(drawn) == 3
    terms = [weight * objective(pool[member](fakes), opponents.real_logits[member]) for member, weight in drawn.items()]
    loss, gradient = opponents.pull(fakes.detach(), OWN, rng(3))
    torch.testing.assert_close(loss, torch.stack(terms).sum().detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(torch.stack(terms).sum(), fakes)[0])


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_the_gradient_reaches_the_fakes_and_no_parameter(technique):
    pool = {member: detector for member, detector in detectors().items() if member.technique == technique}
    _, gradient = attack(pool, 2, Fool(1.0)).pull(batch(requires_grad=False), OWN, rng())
    assert gradient.isfinite().all()
    assert (gradient.flatten(1).norm(dim=1) > 0).all()
    for detector in pool.values():
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in detector.parameters())


def test_detectors_stay_in_eval_mode_and_keep_their_buffers():
    pool = detectors()
    opponents = attack(pool, 3, Fool(1.0))
    before = tensors(pool)
    stream = rng()
    for _ in range(5):
        opponents.pull(batch(requires_grad=False), OWN, stream)
    assert not any(detector.training for detector in pool.values())
    after = tensors(pool)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_whole_response_moves_the_generator_and_not_the_attacked_detectors():
    def respond(opponents):
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
            opponents=opponents,
        )
        CPU.fit(gan, range(6))
        assert gan.step == 6
        return torch.cat([parameter.detach().flatten() for parameter in generator.parameters()])

    pool = detectors()
    before = tensors(pool)
    attacked = respond(attack(pool, 3, Fool(1.0)))
    after = tensors(pool)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert not torch.equal(attacked, respond(None))


def test_a_mixture_draws_one_detector_of_each_technique_by_its_probability():
    pool, members = Pool("mixture", sample=1), [Member(name, r) for name in ("cnn", "dct") for r in range(3)]
    probabilities = dict(zip(members, (0.5, 0.0, 0.5, 0.0, 0.1, 0.9), strict=True))
    drawn = [pool.draw(members, torch.Generator().manual_seed(k), probabilities) for k in range(2000)]
    assert all(len(each) == 1 and set(each.values()) == {2.0} for each in drawn)
    for member, probability in probabilities.items():
        mean = sum(each.get(member, 0.0) for each in drawn) / len(drawn)
        assert mean == pytest.approx(probability, abs=0.08)
