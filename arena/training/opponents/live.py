"""Attack live detectors, which learn during a response, as further discriminators do.

Frozen detectors give gradients in the directions that they have learned. A generator may move its images in any other
direction, and a fresh detector learns that one. Live detectors learn it during the response. Four rules of GAN training
keep their pull useful: gradient penalties (R1 and R2, Mescheder et al. 2018), pulls of equal size (as the weight of
VQGAN's discriminator, Esser et al. 2021), replay of earlier fakes (Shrivastava et al. 2017), and second detectors that
are replaced by new ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from arena.core.machine import parallel_map
from arena.core.seeding import derive_seed
from arena.detectors.gallery import Gallery
from arena.imaging.images import to_uint8
from arena.training.losses import squared_gradient
from arena.training.objectives import Objective
from arena.training.opponents.black_box import BlackBox
from arena.training.opponents.networks import LiveNetwork
from arena.training.opponents.opponents import Opponents, Pull
from arena.training.opponents.size import TINY, JointPull, pull_of_equal_size
from arena.training.opponents.weighting import Weighting

LOOK = 20
"""Steps between two measurements of the detectors' AUC."""
SMOOTHING = 0.7
"""Weight of the AUC so far in the next one."""
PENALTY_INTERVAL = 4
"""Steps of a detector between two penalties, each of them as many times as heavy (Karras et al. 2020, appendix B)."""
VALIDATED = 256
"""Most validation reals of one measurement."""

R = TypeVar("R")

Fraction = Annotated[float, Field(ge=0, lt=1)]
"""Share of a whole, below 1."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """How live detectors learn and pull.

    Args:
        strength: most of the pull of all techniques together, in units of the discriminator's own gradient.
        sample: techniques drawn at each step, of which a detector learns and pulls.
        gamma: weight of the gradient penalties of a network on pixels.
        gamma_features: the same of a network on features, with respect to these.
        chance: AUC above 1/2 up to which a detector pulls nothing.
        ramp: further AUC over which its pull grows from nothing to its whole share.
        replay: share of earlier fakes among those that a detector learns from.
        renew_images: images after which the second detector of a technique is replaced. None for one detector each.
        head_start: steps that the detectors learn before the response, from fakes of earlier rounds.
        learning_rate: of a technique's own network.
        head_learning_rate: of a new head on the features of a fitted technique.
    """

    strength: PositiveFloat
    sample: PositiveInt
    gamma: NonNegativeFloat
    gamma_features: NonNegativeFloat
    chance: Fraction
    ramp: PositiveFloat
    replay: Fraction
    renew_images: PositiveInt | None
    head_start: Annotated[int, Field(ge=0)]
    learning_rate: PositiveFloat
    head_learning_rate: PositiveFloat


class LiveDetector:
    """A detector of the response, with its optimiser and what was measured of it.

    Args:
        technique: its name.
        stream: seed of its random draws.
        network: which learns.
        rate: learning rate.
    """

    def __init__(self, technique: str, stream: int, network: LiveNetwork, rate: float) -> None:
        self.technique, self.stream = technique, stream
        self.network: LiveNetwork = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(network.learning(), lr=rate, betas=(0.0, 0.99), fused=True)
        device = next(network.parameters()).device
        self.steps = 0
        """Steps of learning."""
        self.looks = 0
        """Measurements of its AUC."""
        self.auc = torch.full((), 0.5, device=device)
        """Smoothed AUC of fakes against held-out reals. Before the first measurement it is 1/2."""
        self.scale = torch.zeros((), device=device)
        """Smoothed root mean square of its gradient at the fakes, 0 before the first."""

    def state(self) -> dict[str, Any]:
        """Return all that a resumed response needs."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "steps": self.steps,
            "looks": self.looks,
            "auc": self.auc,
            "scale": self.scale,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        # A fused step expects parameters and moments of one layout, and does not check it.
        for parameter, moments in self.optimizer.state.items():
            for name in ("exp_avg", "exp_avg_sq"):
                moments[name] = torch.empty_like(parameter).copy_(moments[name])
        self.steps, self.looks = state["steps"], state["looks"]
        self.auc, self.scale = (state[name].to(self.auc.device) for name in ("auc", "scale"))


class LiveOpponents(Opponents):
    """Detectors that learn from the fakes of a step, and pull them.

    Each technique has a detector that continues from the one in the loop where its gradients are known, and is new
    otherwise. A new one replaces its second detector every ``renew_images`` images, at another time for each technique.
    The two learn and pull at alternate steps, so that two cost no more than one. All learn from the same reals, none
    from those that measure the AUC.

    The pull of a detector is its gradient over that gradient's size. The size is smoothed over steps, and at least that
    of the step. The sum of all pulls is scaled again, to the size that ``strength`` names. The weights of the detectors
    of a step sum to 1. The share of a detector is a part of its weight, by the excess of its AUC over chance: none at
    chance, and all of it from ``chance + ramp`` on. No other detector gets the rest, so that the pull ends where every
    technique is at chance.

    Args:
        rules: how they learn and pull.
        objective: loss of one detector's logits.
        weighting: weights of the techniques.
        new: returns a new network of a technique, by a seed.
        continued: first network of each technique.
        black_boxes: detectors of which only answers are known, by technique. Their networks are students.
        reals: images that the detectors learn from.
        validation: reals that measure the AUC, and to which the objective compares the fakes.
        replayed: uint8 (N, C, H, W), fakes of earlier steps and rounds, from the evidence path.
        batch: images of a step.
        seed: of the response.
    """

    def __init__(
        self,
        *,
        rules: Live,
        objective: Objective,
        weighting: Weighting,
        new: Callable[[str, int], LiveNetwork],
        continued: Mapping[str, LiveNetwork],
        black_boxes: Mapping[str, BlackBox] | None = None,
        reals: Gallery,
        validation: Gallery,
        replayed: Tensor,
        batch: int,
        seed: int,
    ) -> None:
        self.rules, self.objective, self.weighting, self.new = rules, objective, weighting, new
        self.black_boxes = black_boxes or {}
        self.reals, self.validation, self.replayed = reals, validation, replayed.clone()
        self.batch, self.seed, self.step = batch, seed, 0
        self.joint = JointPull(rules.strength, reals.device)
        self.techniques = list(continued)
        self.gains = {technique: torch.zeros((), device=reals.device) for technique in self.techniques}
        """Sum of the AUC above 1/2 over all looks so far, the mean of a technique's detectors."""
        self.detectors = [self._begin(technique, "first", network) for technique, network in continued.items()]
        if rules.renew_images is not None:
            self.detectors += [self._renewed(technique) for technique in self.techniques]

    def _begin(self, technique: str, place: str, network: LiveNetwork) -> LiveDetector:
        rate = self.rules.head_learning_rate if network.is_head else self.rules.learning_rate
        stream = derive_seed(self.seed, "live", player=f"{technique}/{place}")
        return LiveDetector(technique, stream, network.to(self.reals.device).train(), rate)

    def _renewed(self, technique: str) -> LiveDetector:
        """Return a new detector of a technique, prepared with reals and earlier fakes."""
        seed = derive_seed(self.seed, "renewed", self.step, technique)
        network, rng = self.new(technique, seed).to(self.reals.device), torch.Generator().manual_seed(seed)
        network.prepare(torch.cat([self._reals(4 * self.batch, rng), self._earlier(4 * self.batch, rng)]), rng)
        return self._begin(technique, "second", network)

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Let the drawn detectors learn, and return their pull."""
        if self.step == 0:
            self._head_start()
        self._renew()
        stream = torch.Generator().manual_seed(derive_seed(rng.initial_seed(), "live"))
        order = torch.randperm(len(self.techniques), generator=stream)[: self.rules.sample].tolist()
        names = {self.techniques[k] for k in order}
        if self.step % LOOK == 0:  # before any of them learns from these fakes
            self._look(fakes)
        reals, mixed = self._reals(len(fakes), stream), self._with_earlier(fakes, stream)
        compared = self.validation.images(torch.randint(len(self.validation), (len(fakes),), generator=stream))
        acting = [detector.technique in names and self._has_turn(k) for k, detector in enumerate(self.detectors)]
        learned_from = torch.cat([reals, mixed])

        def act(detector: LiveDetector) -> Pull:
            """Let a detector learn, and return its pull."""
            self._learn(detector, learned_from)
            with self.meter.work(f"{detector.technique} pulls"):
                return self._pull_of(detector, fakes, compared)

        drawn = [detector for detector, acts in zip(self.detectors, acting, strict=True) if acts]
        pulls = self._side_by_side(act, drawn)
        loss, gradient, shares = own.new_zeros(()), torch.zeros_like(own), self.shares(acting)
        for detector, share in zip(self.detectors, shares, strict=True):
            if detector in pulls:
                of_detector = pulls[detector]
                if self.step % LOOK < 2:  # one step of first detectors, and one of second ones
                    self.meter.gradient(detector.technique, of_detector.gradient)
                loss = loss + torch.where(share > 0, share * of_detector.loss, 0)
                gradient = gradient + torch.where(share > 0, share * of_detector.gradient, 0)
        self._keep(fakes, stream)
        self.step += 1
        return Pull(loss, self.joint(gradient, shares.nansum(), own))

    def shares(self, acting: Sequence[bool]) -> Tensor:
        """Return the share of each detector in the pull of a step in which some of them act, 0 for others.

        The shares of those that act stand for all techniques, and sum to at most 1.
        """
        aucs = torch.stack([each.auc for each in self.detectors])
        gains = torch.stack([self.gains[each.technique] for each in self.detectors])
        weights = torch.tensor(acting, device=aucs.device) * self.weighting(aucs, gains)
        told_apart = ((aucs - 0.5 - self.rules.chance) / self.rules.ramp).clamp(0, 1)
        return told_apart * weights / weights.sum().clamp_min(TINY)

    def figures(self) -> dict[str, Tensor]:
        """Return the AUC of each technique's detectors, for the log."""
        of_techniques: dict[str, list[Tensor]] = {}
        for detector in self.detectors:
            of_techniques.setdefault(detector.technique, []).append(detector.auc)
        return {f"{technique}_auc": torch.stack(aucs).mean() for technique, aucs in of_techniques.items()}

    def state(self) -> dict[str, Any]:
        """Return all that a resumed response needs, as tensors and plain values."""
        return {
            "detectors": [detector.state() for detector in self.detectors],
            "black_boxes": {technique: box.state() for technique, box in self.black_boxes.items()},
            "replayed": self.replayed,
            "gains": self.gains,
            "joint": self.joint.state(),
            "step": self.step,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        for detector, saved in zip(self.detectors, state["detectors"], strict=True):
            detector.restore(saved)
        for technique, box in self.black_boxes.items():
            box.restore(state["black_boxes"][technique])
        self.replayed, self.step = state["replayed"].clone(), state["step"]
        self.gains = {name: gain.to(self.reals.device) for name, gain in state["gains"].items()}
        self.joint.restore(state["joint"])

    # --- steps -----------------------------------------------------------------------------------------------------

    def _head_start(self) -> None:
        """Let the detectors learn before the response begins, from the fakes of earlier rounds alone."""
        count = len(self.techniques)
        for step in range(self.rules.head_start):
            stream = torch.Generator().manual_seed(derive_seed(self.seed, "head start", step))
            images = torch.cat([self._reals(self.batch, stream), self._earlier(self.batch, stream)])
            learn = partial(self._learn, images=images, step=step - self.rules.head_start)
            for place in range(0, len(self.detectors), count):  # the two of a technique share its black box
                self._side_by_side(learn, self.detectors[place : place + count])

    def _side_by_side(
        self, work: Callable[[LiveDetector], R], detectors: Sequence[LiveDetector]
    ) -> dict[LiveDetector, R]:
        """Return the result of each detector, of which several work at the same time on a processor.

        Networks on pixels take longest and come first, so that the others fill the time of the last of them.
        """
        ordered = sorted(detectors, key=lambda each: not each.network.on_pixels)
        results = parallel_map(work, ordered, self.reals.device, lambda each: each.network.draws)
        return dict(zip(ordered, results, strict=True))

    def _stream(self, detector: LiveDetector, use: str, step: int | None = None) -> torch.Generator:
        """Return the stream of one detector for one use in a step. Steps of the head start are below 0."""
        number = self.step if step is None else step
        return torch.Generator().manual_seed(derive_seed(detector.stream, f"{use} {number}"))

    def _learn(self, detector: LiveDetector, images: Tensor, step: int | None = None) -> None:
        """Take one step of a detector, and count it and its queries."""
        box, penalised = self.black_boxes.get(detector.technique), detector.steps % PENALTY_INTERVAL == 0
        before, asks = (box.asked, box.asked < box.queries) if box else (0, False)
        with self.meter.work(f"{detector.technique} learns, penalties {penalised}, queries {asks}"):
            self._take_step(detector, images, step, penalised)
        self.meter.add(detector_updates=1, queries=box.asked - before if box else 0)

    def _take_step(self, detector: LiveDetector, images: Tensor, step: int | None, penalised: bool) -> None:
        """Take one step of a detector on images of which the first half are reals, with R1 and R2 if penalised.

        Under batch normalisation the penalised gradient is that of eval mode, in which the detector pulls.
        """
        network, stream = detector.network, self._stream(detector, "learn", step)
        inputs = network.augmented_inputs(images, stream)
        gamma = self.rules.gamma if network.on_pixels else self.rules.gamma_features
        detector.optimizer.zero_grad()
        with torch.random.fork_rng([inputs.device] if inputs.is_cuda else [], enabled=network.draws):
            if network.draws:
                torch.manual_seed(stream.initial_seed())
            network.loss(inputs).backward()
            if gamma and penalised:
                network.train(not network.normalises_batches())
                _, squared = squared_gradient(network.logits, inputs)
                (PENALTY_INTERVAL * gamma * squared.mean()).backward()
                network.train()
        detector.optimizer.step()
        detector.steps += 1

    def _pull_of(self, detector: LiveDetector, fakes: Tensor, reals: Tensor) -> Pull:
        """Return the objective of one detector at the fakes, and its gradient over the size of it."""
        network, images = detector.network.eval(), fakes.detach().requires_grad_()
        stream = self._stream(detector, "pull")
        with torch.no_grad():
            of_reals = network.logits(network.inputs(reals, stream)).float()
        loss = self.objective(network.logits(network.inputs(images, stream)).float(), of_reals)
        (gradient,) = torch.autograd.grad(loss, images)
        network.train()
        pull, detector.scale = pull_of_equal_size(gradient, detector.scale)
        return Pull(loss.detach(), pull)

    @torch.no_grad()
    def _look(self, fakes: Tensor) -> None:
        """Measure the AUC of every detector, at reals that none learned from and fakes before they are learned from.

        A detector whose logits are not finite has none, which ends the training as any loss that is not finite does.
        """
        gains: dict[str, list[Tensor]] = {technique: [] for technique in self.techniques}
        aucs = self._side_by_side(partial(self._auc_of, fakes=fakes), self.detectors)
        for detector, auc in aucs.items():
            detector.auc = SMOOTHING * detector.auc + (1 - SMOOTHING) * auc if detector.looks else auc
            gains[detector.technique].append(auc - 0.5)
            detector.looks += 1
        self.gains = {technique: self.gains[technique] + torch.stack(each).mean() for technique, each in gains.items()}

    def _auc_of(self, detector: LiveDetector, fakes: Tensor) -> Tensor:
        """Return the AUC (scalar) of a detector at fakes and validation reals, NaN where a logit is not finite."""
        stream = self._stream(detector, "look")
        places = torch.randperm(len(self.validation), generator=stream)[:VALIDATED]
        images = torch.cat([self.validation.images(places), fakes])
        with self.meter.work(f"{detector.technique} is measured"):
            logits = detector.network.eval().logits(detector.network.inputs(images, stream)).float()
        detector.network.train()
        real, fake = logits[: len(places)], logits[len(places) :, None]
        auc = ((fake > real).float() + 0.5 * (fake == real).float()).mean()
        return torch.where(logits.isfinite().all(), auc, torch.nan)

    def _has_turn(self, place: int) -> bool:
        """Return whether a detector acts at this step. First and second detectors act at alternate steps."""
        count = len(self.techniques)
        return len(self.detectors) == count or self.step % 2 == place // count

    def _renew(self) -> None:
        """Replace each second detector that is due by a new one."""
        every, count = self.rules.renew_images, len(self.techniques)
        if every is None or self.step == 0:
            return
        for k, technique in enumerate(self.techniques):
            if (self.step * self.batch + every * k // count) % every < self.batch:
                self.detectors[count + k] = self._renewed(technique)

    # --- images ----------------------------------------------------------------------------------------------------

    def _reals(self, n: int, stream: torch.Generator) -> Tensor:
        return self.reals.images(torch.randint(len(self.reals), (n,), generator=stream))

    def _earlier(self, n: int, stream: torch.Generator) -> Tensor:
        places = torch.randint(len(self.replayed), (n,), generator=stream)
        return self.reals.evidence.as_seen(self.replayed[places].to(self.reals.device))

    def _with_earlier(self, fakes: Tensor, stream: torch.Generator) -> Tensor:
        """Return the fakes, the last of them replaced by earlier ones."""
        earlier = int(len(fakes) * self.rules.replay)
        return torch.cat([fakes[: len(fakes) - earlier], self._earlier(earlier, stream)]) if earlier else fakes

    def _keep(self, fakes: Tensor, stream: torch.Generator) -> None:
        """Put one of eight fakes of this step in the place of earlier ones, so that fakes of all steps are replayed."""
        kept = to_uint8(fakes[: max(1, len(fakes) // 8)]).cpu()
        self.replayed[torch.randperm(len(self.replayed), generator=stream)[: len(kept)]] = kept[: len(self.replayed)]
