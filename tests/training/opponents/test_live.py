"""Live opponents on images whose fakes differ from reals in a known way."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from arena.detectors.gallery import Gallery
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from arena.training.objectives import Relative
from arena.training.opponents.critics import Critic, FeatureCritic, NetworkCritic, critic_of
from arena.training.opponents.live import Live, LiveOpponents
from tests.detectors.planted import build

RULES = Live(
    strength=0.5,
    sample=4,
    gamma=1.0,
    gamma_features=0.1,
    chance=0.02,
    replay=0.5,
    renew_images=None,
    head_start=20,
    learning_rate=2e-3,
    head_learning_rate=1e-2,
)
TECHNIQUES = ("cnn", "dct", "spectrum", "forest")
EVIDENCE = Evidence(levels=256)
BATCH = 16


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int, seed: int, smooth: bool = False) -> Tensor:
    """Noise (n, 1, 8, 8), uint8. Of smooth noise each pixel is the mean of two neighbours, over a full contrast."""
    noise = torch.rand(n, 1, 8, 8, generator=rng(seed))
    if smooth:
        noise = (noise + noise.roll(1, -1)) / 2
    return (255 * noise).round().to(torch.uint8)


def new(technique: str, seed: int) -> Critic:
    torch.manual_seed(seed)
    return critic_of(build(technique, seed=seed, levels=256))


def opponents(
    rules: Live = RULES,
    techniques: tuple[str, ...] = TECHNIQUES,
    fakes: Tensor | None = None,
    new: Callable[[str, int], Critic] = new,
) -> LiveOpponents:
    """Opponents of a generator whose earlier fakes are smooth, unless given."""
    reals = Gallery(images(400, 1), EVIDENCE)
    replayed = Gallery(images(300, 2, smooth=True) if fakes is None else fakes, EVIDENCE)
    continued = {name: new(name, k) for k, name in enumerate(techniques)}
    some = torch.cat([reals.images(torch.arange(100)), replayed.images(torch.arange(100))])
    for critic in continued.values():
        critic.prepare(some, rng())
    return LiveOpponents(
        rules=rules,
        objective=Relative(1.0),
        new=new,
        continued=continued,
        reals=reals,
        validation=Gallery(images(200, 3), EVIDENCE),
        replayed=replayed.seen,
        batch=BATCH,
        seed=0,
    )


def step(found: LiveOpponents, k: int, smooth: bool = True) -> tuple[Tensor, Tensor]:
    """Loss and gradient of a step whose own gradient is of unit size."""
    fakes = to_float(images(BATCH, 100 + k, smooth))
    return found.pull(fakes, torch.ones_like(fakes), rng(k))


def classified(logits: Tensor) -> Tensor:
    """Cross-entropy of logits of which the first half are of reals."""
    return softplus(logits[:BATCH]).mean() + softplus(-logits[BATCH:]).mean()


def test_a_technique_that_learns_keeps_its_network_and_a_fitted_one_gets_a_new_head():
    assert isinstance(new("cnn", 0), NetworkCritic)
    assert isinstance(new("dct", 0), NetworkCritic)
    assert isinstance(new("spectrum", 0), FeatureCritic)


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_a_live_detector_comes_to_tell_reals_from_fakes_on_reals_that_it_never_saw(technique: str):
    found = opponents(replace(RULES, head_start=0), (technique,))
    for k in range(150):
        step(found, k)
    assert float(found.figures()[f"{technique}_auc"]) > 0.75


def test_following_the_pull_lowers_the_auc_of_a_detector_that_stands_still():
    found = opponents(replace(RULES, learning_rate=1e-12, head_learning_rate=1e-12, head_start=0), ("dct",))
    critic = found.detectors[0].critic
    learner = torch.optim.Adam(critic.parameters(), lr=1e-2)
    for k in range(60):  # a detector that knows the fakes
        both = torch.cat([to_float(images(BATCH, k)), to_float(images(BATCH, 900 + k, smooth=True))])
        learner.zero_grad()
        classified(critic.logits(critic.seen(both, rng()))).backward()
        learner.step()
    fakes = to_float(images(BATCH, 5, smooth=True))

    def mean_logit() -> float:
        return float(critic.logits(critic.seen(fakes, rng())).detach().mean())

    before = mean_logit()
    for k in range(20):
        fakes = fakes - found.pull(fakes, torch.ones_like(fakes), rng(k)).gradient
    assert mean_logit() < before - 1


def test_a_pull_is_as_large_as_the_rules_say_and_no_larger_with_more_techniques():
    """Its size does not depend on the scale of a technique's logits."""
    for techniques in (("dct",), ("dct", "spectrum"), TECHNIQUES):
        found = opponents(techniques=techniques)
        for detector in found.detectors:
            detector.auc.fill_(1.0)
        sizes = []
        for k in range(3):
            _, gradient = step(found, k)
            for detector in found.detectors:
                detector.auc.fill_(1.0)
            sizes.append(float(gradient.square().mean().sqrt()))
        assert all(0 < size <= 1.5 * RULES.strength for size in sizes)


def test_the_pull_of_a_technique_at_chance_is_nothing_and_all_shares_sum_to_at_most_one():
    found = opponents()
    for auc, detector in zip((0.5, 0.9, 0.51, 0.5), found.detectors, strict=True):
        detector.auc.fill_(auc)
    torch.testing.assert_close(found.shares(), torch.tensor([0.0, 0.38, 0.0, 0.0]))
    for detector in found.detectors:
        detector.auc.fill_(1.0)
    torch.testing.assert_close(found.shares(), torch.full((4,), 1 / 4))
    for detector in found.detectors:
        detector.auc.fill_(0.3)
    assert float(found.shares().sum()) == 0


def test_fakes_that_are_reals_are_not_pulled():
    """The control: a generator that has arrived is left alone."""
    found = opponents(fakes=images(300, 7))
    sizes = [float(step(found, k, smooth=False)[1].abs().mean()) for k in range(60)]
    caught = opponents()
    pulled = [float(step(caught, k)[1].abs().mean()) for k in range(60)]
    assert sum(sizes[30:]) < sum(pulled[30:]) / 4


def test_the_second_detectors_begin_anew_in_turn():
    rules = replace(RULES, renew_images=10 * BATCH, head_start=0)
    found = opponents(rules)
    assert [each.technique for each in found.detectors] == [*TECHNIQUES, *TECHNIQUES]
    begun: dict[str, list[int]] = {technique: [] for technique in TECHNIQUES}
    for k in range(31):
        before = list(found.detectors)
        step(found, k)
        assert all(one is other for one, other in zip(before[:4], found.detectors[:4], strict=True))
        for one, other in zip(before[4:], found.detectors[4:], strict=True):
            if one is not other:
                begun[one.technique].append(k)
    assert all(len(steps) == 3 and steps[1] - steps[0] == steps[2] - steps[1] == 10 for steps in begun.values())
    assert len({steps[0] for steps in begun.values()}) == 4


def test_a_restored_state_continues_to_the_bit():
    rules = replace(RULES, renew_images=6 * BATCH, sample=2)
    whole, first = opponents(rules), opponents(rules)
    expected = [step(whole, k)[1] for k in range(9)]
    for k in range(4):
        step(first, k)
    second = opponents(rules)
    second.restore(first.state())
    torch.rand(3)  # the global stream does not matter
    for k in range(4, 9):
        assert torch.equal(step(second, k)[1], expected[k])
    assert {name: float(value) for name, value in second.figures().items()} == {
        name: float(value) for name, value in whole.figures().items()
    }


def test_fakes_of_all_steps_are_replayed():
    found, black = opponents(), torch.full((BATCH, 1, 8, 8), -1.0)
    for k in range(40):
        found.pull(black, torch.ones_like(black), rng(k))
    assert 40 <= int((found.replayed.flatten(1).amax(1) == 0).sum()) <= 80  # two of each step, some replaced since
    assert len(found.replayed) == 300
