"""A detector with a planted hole: every attack must find it. It looks at some pixels, and at no others.

A generator that is trained against this detector alone must evade it, and must do so by those pixels. An attack that
fails here is broken, whatever it does elsewhere (Zimmermann, Brendel, Tramer & Carlini 2022).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from arena.detectors.base import LearnedDetector
from arena.detectors.gallery import Gallery
from arena.imaging.evidence import Evidence
from arena.imaging.images import to_uint8
from arena.training.objectives import Objective, Relative
from arena.training.opponents.black_box import BlackBox, Student
from arena.training.opponents.combined import ScaledOpponents, Together
from arena.training.opponents.equal_norm import EqualNormOpponents
from arena.training.opponents.frozen import FrozenOpponents, Member, Pool
from arena.training.opponents.kernel import Kernel, KernelOpponents, MatchedTechnique, feature_map
from arena.training.opponents.live import Live, LiveOpponents
from arena.training.opponents.networks import LiveNetwork, live_network
from arena.training.opponents.opponents import Opponents
from arena.training.opponents.weighting import Uniform
from tests.training.opponents.test_black_box import Unseen
from tests.training.opponents.test_live import RULES as LIVE
from tests.training.opponents.test_live import rng

SIDE, BATCH, STEPS = 8, 32, 400
CORNER = torch.zeros(SIDE, SIDE, dtype=torch.bool)
CORNER[:3, :3] = True
SEEN = {"blind to the corner": ~CORNER, "looks at the corner alone": CORNER}
REAL, FAKE = -0.3, 0.3
"""Mean of a pixel at the start."""
OBJECTIVES = Objective.__subclasses__()
EVIDENCE = Evidence(levels=256)
RULES = replace(LIVE, strength=1.0, sample=1, replay=0.0, learning_rate=2e-2)


class Brightness(LearnedDetector):
    """A linear detector of the pixels that it sees. It begins with their mean, and may learn another direction."""

    artefact = "checkerboard"
    seen: Tensor

    def __init__(self, seen: Tensor) -> None:
        super().__init__(resolution=SIDE, channels=1, levels=256)
        self.register_buffer("seen", seen.float().flatten())
        self.linear = nn.Linear(SIDE**2, 1)
        nn.init.constant_(self.linear.weight, 10.0 / float(seen.sum()))
        nn.init.zeros_(self.linear.bias)

    def logits(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1) * self.seen).squeeze(1)


def images(n: int, mean: Tensor | float, seed: int) -> Tensor:
    """Noise (n, 1, 8, 8) about a mean image."""
    return mean + 0.2 * (2 * torch.rand(n, 1, SIDE, SIDE, generator=rng(seed)) - 1)


def frozen(seen: Tensor, objective: Objective) -> Opponents:
    member, detector = Member("brightness", 0), Brightness(seen)
    with torch.no_grad():
        reals = detector(images(100, REAL, 1))
    return FrozenOpponents({member: detector}, {member: reals}, Pool("last", 1), objective)


def live(seen: Tensor, objective: Objective) -> Opponents:
    return learning(lambda: live_network(Brightness(seen)), objective, RULES)


def students(seen: Tensor, answers: Literal["scores", "labels"]) -> Opponents:
    """Students of the detector, whose own gradient is an error."""
    detector = Brightness(seen)
    known = torch.cat([images(200, REAL, 8), images(200, FAKE, 9)])
    box = BlackBox(lambda x: Unseen.apply(detector(x)), answers, known, 20_000, EVIDENCE)
    torch.manual_seed(0)
    rules = replace(RULES, learning_rate=2e-3, head_start=100)
    return learning(lambda: Student(box, channels=1, side=SIDE), Relative(weight=1.0), rules, {"brightness": box})


def learning(
    new: Callable[[], LiveNetwork], objective: Objective, rules: Live, boxes: Mapping[str, BlackBox] | None = None
) -> Opponents:
    return LiveOpponents(
        rules=rules,
        objective=objective,
        weighting=Uniform(),
        new=lambda *_: new(),
        continued={"brightness": new()},
        black_boxes=boxes,
        reals=Gallery(to_uint8(images(400, REAL, 2)), EVIDENCE),
        validation=Gallery(to_uint8(images(200, REAL, 3)), EVIDENCE),
        replayed=to_uint8(images(100, FAKE, 4)),
        batch=BATCH,
        seed=0,
    )


def kernel(seen: Tensor) -> KernelOpponents:
    rules = Kernel(strength=1.0, sample=1, components=4, reals=128, queue=64, ramp=4.0)
    features = feature_map(Brightness(seen))
    technique = MatchedTechnique(
        features, images(400, REAL, 7), images(400, REAL, 2), images(200, FAKE, 4), rules, BATCH, seed=0
    )
    return KernelOpponents(rules, {"brightness": technique})


ATTACKS: dict[str, Callable[[Tensor], Opponents]] = {
    **{f"frozen, {kind.__name__}": lambda seen, kind=kind: frozen(seen, kind(weight=1.0)) for kind in OBJECTIVES},
    **{f"live, {kind.__name__}": lambda seen, kind=kind: live(seen, kind(weight=1.0)) for kind in OBJECTIVES},
    "kernel": kernel,
    "twice as strong": lambda seen: ScaledOpponents(frozen(seen, Relative(weight=1.0)), 2.0),
    "kernel and live": lambda seen: Together({"one": kernel(seen), "other": live(seen, Relative(weight=1.0))}),
}


def trained(opponents: Opponents) -> tuple[Tensor, Tensor]:
    """Return the fakes' mean image before and after training a generator that has nothing but this mean to learn."""
    start = torch.full((SIDE, SIDE), FAKE)
    mean = start.clone().requires_grad_()
    optimizer = torch.optim.Adam([mean], lr=0.02, betas=(0.0, 0.99))
    slowing = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, STEPS)
    for step in range(STEPS):
        fakes = images(BATCH, mean, 100 + step)
        _, gradient = opponents.pull(fakes.detach(), torch.ones_like(fakes), rng(step))
        optimizer.zero_grad()
        fakes.backward(gradient)
        optimizer.step()
        slowing.step()
    return start, mean.detach()


def auc(seen: Tensor, fakes: Tensor) -> float:
    """AUC of the detector as it began."""
    with torch.no_grad():
        real, fake = (Brightness(seen)(images(300, mean, seed)) for mean, seed in ((REAL, 5), (fakes, 6)))
    return float((fake[:, None] > real).float().mean())


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_every_attack_evades_a_detector_by_the_pixels_that_it_looks_at(seen, attack):
    start, end = trained(attack(seen))
    assert auc(seen, start) > 0.99
    assert auc(seen, end) < 0.7
    assert torch.equal(end[~seen], start[~seen])
    assert (end[seen] != start[seen]).all()


@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
@pytest.mark.parametrize("answers", ["scores", "labels"])
def test_students_of_answers_alone_evade_it(seen, answers):
    """They are convolutional and move other pixels too, in which these fakes differ from reals as much."""
    start, end = trained(students(seen, answers))
    assert auc(seen, start) > 0.99
    assert auc(seen, end) < 0.7


def test_a_detector_finds_nothing_where_it_is_blind():
    """Fakes that differ from reals in the corner alone are none to it, and it leaves them there."""
    fakes = torch.full((SIDE, SIDE), REAL)
    fakes[CORNER] = 1.0
    assert abs(auc(~CORNER, fakes) - 0.5) < 0.06
    assert auc(CORNER, fakes) == 1.0


def test_every_kind_of_opponents_is_tried():
    """All but the control without content, which is no attack."""
    kinds = {kind for kind in Opponents.__subclasses__() if kind.__module__.startswith("arena.")}
    tried = {type(attack(CORNER)) for attack in ATTACKS.values()}
    assert kinds - {EqualNormOpponents} == tried
