"""Live opponents on images whose fakes differ from reals in a known way."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from arena.core.machine import at_once
from arena.detectors.gallery import Gallery
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_float
from arena.training.objectives import Relative
from arena.training.opponents.live import LOOK, Live, LiveOpponents
from arena.training.opponents.networks import FeatureHead, LiveNetwork, RandomNetwork, TechniqueNetwork, live_network
from arena.training.opponents.weighting import Hedge, Uniform, Weighting
from tests.detectors.planted import build

RULES = Live(
    strength=0.5,
    sample=4,
    gamma=0.03,
    gamma_features=0.01,
    chance=0.02,
    ramp=0.1,
    replay=0.5,
    renew_images=None,
    head_start=20,
    learning_rate=2e-3,
    head_learning_rate=1e-2,
)
TECHNIQUES = ("cnn", "dct", "spectrum", "forest")
EVERY = (
    *TECHNIQUES,
    *("nodown", "patch", "gram", "dct_cnn", "fft", "phase", "freqnet", "srm", "bayar", "npr", "wavelet"),
)
ALL = (True,) * 4
UNIFORM = Uniform()
STEPS = {"freqnet": 250, "fft": 200, "bayar": 250, "srm": 200}
"""Steps of techniques that learn more slowly than others."""
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


def new(technique: str, seed: int) -> LiveNetwork:
    torch.manual_seed(seed)
    return live_network(build(technique, seed=seed, levels=256))


def opponents(
    rules: Live = RULES,
    techniques: tuple[str, ...] = TECHNIQUES,
    fakes: Tensor | None = None,
    reals: Tensor | None = None,
    validation: Tensor | None = None,
    new: Callable[[str, int], LiveNetwork] = new,
    weighting: Weighting = UNIFORM,
) -> LiveOpponents:
    """Opponents of a generator whose earlier fakes are smooth and whose reals are noise, unless given."""
    learned = Gallery(images(400, 1) if reals is None else reals, EVIDENCE)
    replayed = Gallery(images(300, 2, smooth=True) if fakes is None else fakes, EVIDENCE)
    continued = {name: new(name, k) for k, name in enumerate(techniques)}
    some = torch.cat([learned.images(torch.arange(100)), replayed.images(torch.arange(100))])
    for network in continued.values():
        network.prepare(some, rng())
    return LiveOpponents(
        rules=rules,
        objective=Relative(1.0),
        weighting=weighting,
        new=new,
        continued=continued,
        reals=learned,
        validation=Gallery(images(200, 3) if validation is None else validation, EVIDENCE),
        replayed=replayed.seen,
        batch=BATCH,
        seed=0,
    )


def step(found: LiveOpponents, k: int, smooth: bool = True, own: float = 1.0) -> tuple[Tensor, Tensor]:
    """Loss and gradient of a step whose own gradient has a given size."""
    fakes = to_float(images(BATCH, 100 + k, smooth))
    return found.pull(fakes, torch.full_like(fakes, own), rng(k))


def size(gradient: Tensor) -> float:
    return float(gradient.square().mean().sqrt())


def test_a_technique_that_learns_keeps_its_network_and_a_fitted_one_gets_a_new_head():
    assert isinstance(new("cnn", 0), TechniqueNetwork)
    assert isinstance(new("dct", 0), TechniqueNetwork)
    assert isinstance(new("spectrum", 0), FeatureHead)


@pytest.mark.slow
@pytest.mark.parametrize("technique", EVERY)
def test_a_live_detector_comes_to_tell_reals_from_fakes_on_reals_that_it_never_saw(technique: str):
    """Every parameter moves, and learning is not stopped by a penalty in the wrong place."""
    found = opponents(replace(RULES, head_start=0), (technique,))
    before = [parameter.detach().clone() for parameter in found.detectors[0].network.learning()]
    for k in range(STEPS.get(technique, 120)):
        step(found, k)
    assert float(found.figures()[f"{technique}_auc"]) > 0.62
    after = found.detectors[0].network.learning()
    still = [one for one, other in zip(before, after, strict=True) if torch.equal(one, other)]
    assert len(still) <= (technique == "freqnet")  # whose last layer has an imaginary part that no logit reads


@pytest.mark.parametrize("technique", TECHNIQUES)
def test_following_the_pull_lowers_the_auc_of_a_detector_that_stands_still(technique: str):
    """At a learning rate of 0 it is a frozen detector."""
    found = opponents(techniques=(technique,))
    for k in range(150):
        step(found, k)
    network = found.detectors[0].network
    found.detectors[0].optimizer.param_groups[0]["lr"] = 0.0
    reals, fakes = to_float(images(200, 11)), to_float(images(BATCH, 12, smooth=True))

    def auc() -> float:
        network.eval()
        with torch.no_grad():
            real, fake = (network.logits(network.inputs(each, rng())) for each in (reals, fakes))
        network.train()
        return float((fake[:, None] > real).float().mean())

    before = auc()
    for k in range(60):
        found.detectors[0].auc.fill_(1.0)
        fakes = fakes - 0.2 * found.pull(fakes, torch.ones_like(fakes), rng(k)).gradient
    assert before > 0.7
    assert auc() < before - 0.2


@pytest.mark.parametrize("sample", [1, 4])
@pytest.mark.parametrize("own", [0.01, 3.0])
def test_a_pull_is_at_most_as_large_as_the_rules_say(sample: int, own: float):
    """Whatever the number of techniques and of detectors, and the scale of their logits."""
    rules = replace(RULES, sample=sample, renew_images=1000 * BATCH, strength=0.7)

    def louder(technique: str, seed: int) -> LiveNetwork:
        network = new(technique, seed)
        for parameter in network.learning()[-2:]:
            parameter.data *= 30
        return network

    for factory in (new, louder):
        found, sizes = opponents(rules, new=factory), list[float]()
        for k in range(60):
            for detector in found.detectors:
                detector.auc.fill_(1.0)
            sizes.append(size(step(found, k, own=own)[1]))
        assert max(sizes) <= 0.7 * own * 1.001
        assert max(sizes) >= 0.7 * own / 5


def test_the_share_of_a_technique_at_chance_is_nothing_and_all_shares_sum_to_at_most_one():
    found = opponents()
    for auc, detector in zip((0.5, 0.9, 0.57, 0.3), found.detectors, strict=True):
        detector.auc.fill_(auc)
    torch.testing.assert_close(found.shares(ALL), torch.tensor([0.0, 0.25, 0.125, 0.0]))
    cnn_and_dct = [True, True, False, False]
    torch.testing.assert_close(found.shares(cnn_and_dct), torch.tensor([0.0, 0.5, 0.0, 0.0]))  # for all four
    assert float(found.shares([True, False, False, True]).sum()) == 0
    for detector in found.detectors:
        detector.auc.fill_(1.0)
    torch.testing.assert_close(found.shares(ALL), torch.full((4,), 1 / 4))


def test_the_two_detectors_of_a_technique_learn_and_pull_at_alternate_steps():
    found = opponents(replace(RULES, renew_images=1000 * BATCH, head_start=0))
    for k in range(6):
        before = [next(iter(each.network.learning())).clone() for each in found.detectors]
        step(found, k)
        after = [next(iter(each.network.learning())) for each in found.detectors]
        learned = [not torch.equal(one, other) for one, other in zip(before, after, strict=True)]
        assert learned == [k % 2 == 0] * 4 + [k % 2 == 1] * 4


def test_each_of_two_detectors_has_the_whole_share_of_its_technique_in_its_turn():
    found = opponents(replace(RULES, renew_images=1000 * BATCH))
    for detector in found.detectors:
        detector.auc.fill_(0.72 if detector.technique == "dct" else 0.5)
    for turn in ((True, False), (False, True), (True, True)):
        acting = [acts for acts in turn for _ in TECHNIQUES]
        torch.testing.assert_close(found.shares(acting).sum(), torch.tensor(0.25))


def test_a_technique_that_was_strong_for_long_weighs_more_under_hedge():
    found = opponents(replace(RULES, head_start=0), weighting=Hedge(0.5))
    for k in range(121):
        step(found, k)
    for detector in found.detectors:
        detector.auc.fill_(1.0)
    aucs = {technique: float(gain) for technique, gain in found.gains.items()}
    shares = dict(zip(found.techniques, found.shares(ALL).tolist(), strict=True))
    strongest = max(aucs, key=aucs.__getitem__)
    assert shares[strongest] == max(shares.values()) > 0.25


def test_fakes_that_are_reals_are_hardly_pulled():
    """The control: where fakes and reals have one law, shares are 0 but for the noise of an AUC."""
    alike, caught = opponents(fakes=images(300, 7)), opponents()
    sums: dict[bool, list[float]] = {True: [], False: []}
    for k in range(80):
        for found, smooth in ((alike, False), (caught, True)):
            step(found, k, smooth=smooth)
            sums[smooth].append(float(found.shares(ALL).sum()))
    assert sum(sums[False][40:]) / 40 < 0.15
    assert sum(sums[True][40:]) / 40 > 0.6


def test_the_auc_is_measured_on_reals_that_none_learned_from():
    """The reals to learn from are bright and the fakes dark, and the reals that measure are as dark as the fakes."""
    flicker = torch.randint(0, 5, (200, 1, 8, 8), generator=rng()).to(torch.uint8)
    found = opponents(techniques=("cnn",), fakes=flicker, reals=250 + flicker, validation=flicker.flip(0))
    for k in range(40):
        fakes = to_float(flicker[torch.randperm(200, generator=rng(k))[:BATCH]])
        found.pull(fakes, torch.ones_like(fakes), rng(k))
    assert abs(float(found.figures()["cnn_auc"]) - 0.5) < 0.2


def test_a_detector_whose_weights_are_not_finite_is_reported():
    """Its AUC is then not finite either, which ends the training as any loss that is not finite does."""
    found = opponents(techniques=("cnn", "dct"))
    step(found, 0)
    for parameter in found.detectors[0].network.learning():
        parameter.data.fill_(torch.nan)
    for k in range(1, LOOK + 1):
        step(found, k)
    aucs = found.figures()
    assert not aucs["cnn_auc"].isfinite()
    assert aucs["dct_auc"].isfinite()
    assert step(found, LOOK + 1)[1].isfinite().all()  # it no longer pulls


def test_the_penalty_flattens_a_network_with_batch_normalisation():
    """R1 and R2 are with respect to the image, in the mode in which the network pulls."""

    def steepness(gamma: float) -> float:
        found = opponents(replace(RULES, gamma=gamma, head_start=0), ("cnn",))
        for k in range(120):
            step(found, k)
        network = found.detectors[0].network.eval()
        fakes = to_float(images(64, 12, smooth=True)).requires_grad_()
        (gradient,) = torch.autograd.grad(network.logits(network.inputs(fakes, rng())).sum(), fakes)
        return float(gradient.flatten(1).norm(dim=1).mean())

    assert steepness(1.0) < steepness(0.0) / 3


def test_networks_behind_random_filters_learn():
    def random(technique: str, seed: int) -> LiveNetwork:
        torch.manual_seed(seed)
        return RandomNetwork(1)

    found = opponents(replace(RULES, head_start=0), new=random)
    for k in range(150):
        step(found, k)
    assert all(float(auc) > 0.75 for auc in found.figures().values())


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


class Dropping(RandomNetwork):
    """A network that draws from torch's global stream while it learns."""

    draws = True

    def logits(self, inputs: Tensor) -> Tensor:
        """Return logits (B,) of images, of which some pixels are dropped in training."""
        return super().logits(F.dropout(inputs, 0.2, self.training))


@pytest.mark.parametrize("bf16", [False, True])
def test_threads_change_no_pull_and_no_detector(bf16: bool):
    def other(technique: str, seed: int) -> LiveNetwork:
        torch.manual_seed(seed)
        return Dropping(1) if technique == "dropping" else new(technique, seed)

    rules, techniques = replace(RULES, head_start=3, renew_images=2 * BATCH, sample=5), (*TECHNIQUES, "dropping")
    alone, together = (opponents(rules, techniques, new=other) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16, cache_enabled=False):  # as Lightning's
        for k in range(6):
            loss, gradient = step(alone, k)
            with at_once(2):
                both = step(together, k)
            assert torch.equal(loss, both[0])
            assert torch.equal(gradient, both[1])
    assert alone.meter.spent == together.meter.spent
    for one, two in zip(alone.detectors, together.detectors, strict=True):
        for before, after in zip(one.network.parameters(), two.network.parameters(), strict=True):
            assert torch.equal(before, after)


def test_fakes_of_all_steps_are_replayed():
    found, black = opponents(), torch.full((BATCH, 1, 8, 8), -1.0)
    for k in range(40):
        found.pull(black, torch.ones_like(black), rng(k))
    assert 40 <= int((found.replayed.flatten(1).amax(1) == 0).sum()) <= 80  # two of each step, some replaced since
    assert len(found.replayed) == 300


def test_the_gradients_of_both_detectors_of_a_technique_are_looked_at():
    """First and second detectors act at alternate steps. A second one that pulls nowhere has zero gradients."""

    def made(technique: str, seed: int) -> LiveNetwork:
        network = new(technique, seed)
        if seed > 0:  # the first detector of the only technique has number 0
            logits = network.logits
            network.logits = lambda inputs: 0 * logits(inputs)
        return network

    found = opponents(replace(RULES, renew_images=1000 * BATCH, head_start=0), ("cnn",), new=made)
    for k in range(40):
        step(found, k)
    looked = found.meter.gradients["cnn"]
    assert looked.fakes == 4 * BATCH
    assert looked.zero == 2 * BATCH
