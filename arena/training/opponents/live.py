"""Attack live detectors, which learn at every step of a response, as further discriminators do.

A generator that attacks frozen detectors leaves the reals in every direction that they do not see, and the next
detectors find it there. Live detectors follow it. Four rules keep their pull useful, each from GAN training: gradient
penalties (R1 and R2, Mescheder et al. 2018), normalised pulls (as the weight of VQGAN's discriminator, Esser et al.
2021), replay of earlier fakes (Shrivastava et al. 2017), and copies that begin anew, as a fresh judge does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.seeding import derive_seed
from arena.detectors.gallery import Gallery
from arena.imaging.images import to_uint8
from arena.training.losses import squared_gradient
from arena.training.objectives import Objective
from arena.training.opponents.critics import Critic, NetworkCritic
from arena.training.opponents.opponents import Opponents, Pull

LOOK = 10
"""Steps between two measurements of the detectors' AUC."""
SMOOTHING = 0.8
"""Weight of the AUC so far in the next one."""
SCALE_DECAY = 0.99
"""Weight of the size of a gradient so far in the next one."""
VALIDATED = 256
"""Most validation reals of one measurement."""
TINY = 1e-12

Fraction = Annotated[float, Field(ge=0, lt=1)]
"""Share of a whole, below 1."""


@dataclass(frozen=True, kw_only=True)
class Live:
    """How live detectors learn and pull.

    Args:
        strength: most of the pull of all techniques together, in units of the discriminator's own gradient.
        sample: techniques drawn at each step, which learn and pull.
        gamma: weight of the gradient penalties of a network on pixels.
        gamma_features: the same where the input of the network is standardised features, with respect to these.
        chance: AUC above 1/2 up to which a detector pulls nothing.
        replay: share of earlier fakes among those that a detector learns from.
        renew_images: images after which the second detector of a technique begins anew. None for one detector each.
        head_start: steps that the detectors learn before the response.
        learning_rate: of a technique's own network.
        head_learning_rate: of a new head on the features of a fitted technique.
    """

    strength: PositiveFloat
    sample: PositiveInt
    gamma: NonNegativeFloat
    gamma_features: NonNegativeFloat
    chance: Fraction
    replay: Fraction
    renew_images: PositiveInt | None
    head_start: Annotated[int, Field(ge=0)]
    learning_rate: PositiveFloat
    head_learning_rate: PositiveFloat


class LiveDetector:
    """A detector of the response, with its optimiser and its place among the others.

    Args:
        technique: its name.
        critic: its network, which learns.
        rate: learning rate.
    """

    def __init__(self, technique: str, critic: Critic, rate: float) -> None:
        self.technique, self.critic = technique, critic
        self.optimizer = torch.optim.Adam(critic.learning(), lr=rate, betas=(0.0, 0.99))
        device = next(critic.parameters()).device
        self.auc = torch.full((), 0.5, device=device)
        """Smoothed AUC of its fakes against held-out reals. At 1/2 it pulls nothing."""
        self.scale = torch.zeros((), device=device)
        """Smoothed root mean square of its gradient at the fakes, 0 before the first."""

    def state(self) -> dict[str, Any]:
        """Return all that a resumed response needs."""
        return {
            "critic": self.critic.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "auc": self.auc,
            "scale": self.scale,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.auc, self.scale = state["auc"].to(self.auc.device), state["scale"].to(self.scale.device)


class LiveOpponents(Opponents):
    """Detectors that learn from the fakes of each step, and then pull them.

    Each technique has a detector that continues from the one in the loop, and a second one that begins anew every
    ``renew_images`` images, staggered over the techniques. Reals that a detector learns from do not measure its AUC.

    The pull of a detector is its gradient over that gradient's own size, smoothed over steps. Its share is the excess
    of its AUC over chance. Shares sum to at most 1 and are not scaled up: where every technique comes to chance, the
    pull of all ends.

    Args:
        rules: how they learn and pull.
        objective: loss of one detector's logits.
        new: returns a new critic of a technique, by a seed.
        continued: critic of each technique, as the loop has left it.
        reals: images that the detectors learn from.
        validation: reals that measure the AUC.
        replayed: uint8 (N, C, H, W), fakes of earlier steps and rounds, down the evidence path.
        batch: images of a step.
        seed: of the response.
    """

    def __init__(
        self,
        *,
        rules: Live,
        objective: Objective,
        new: Callable[[str, int], Critic],
        continued: Mapping[str, Critic],
        reals: Gallery,
        validation: Gallery,
        replayed: Tensor,
        batch: int,
        seed: int,
    ) -> None:
        self.rules, self.objective, self.new = rules, objective, new
        self.reals, self.validation, self.replayed = reals, validation, replayed.clone()
        self.batch, self.seed, self.step = batch, seed, 0
        self.own_scale = torch.zeros((), device=reals.device)
        self.techniques = list(continued)
        self.detectors = [self._begin(technique, critic) for technique, critic in continued.items()]
        if rules.renew_images is not None:
            self.detectors += [self._renewed(technique) for technique in self.techniques]

    def _begin(self, technique: str, critic: Critic) -> LiveDetector:
        rules = self.rules
        rate = rules.learning_rate if isinstance(critic, NetworkCritic) else rules.head_learning_rate
        return LiveDetector(technique, critic.to(self.reals.device).train(), rate)

    def _renewed(self, technique: str) -> LiveDetector:
        """Return a new detector of a technique, prepared with reals and earlier fakes."""
        seed = derive_seed(self.seed, "renewed", self.step, technique)
        critic, rng = self.new(technique, seed), torch.Generator().manual_seed(seed)
        images = torch.cat([self._reals(4 * self.batch, rng), self._earlier(4 * self.batch, rng)])
        critic.to(images.device).prepare(images, rng)
        return self._begin(technique, critic)

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Let the drawn detectors learn, and return their pull."""
        stream = torch.Generator().manual_seed(derive_seed(rng.initial_seed(), "live"))
        if self.step == 0:
            self._head_start()
        self._renew()
        order = torch.randperm(len(self.techniques), generator=stream)[: self.rules.sample].tolist()
        names = {self.techniques[k] for k in order}
        reals = self._reals(len(fakes), stream)
        mixed = self._with_earlier(fakes, stream)
        for detector in self.detectors:
            if detector.technique in names:
                self._learn(detector, reals, mixed, stream)
        if self.step % LOOK == 0:
            self._look(fakes, stream)
        self.own_scale = _smoothed(self.own_scale, _size(own))
        loss, gradient = own.new_zeros(()), torch.zeros_like(own)
        whole = len(self.techniques) / len(names)
        for detector, share in zip(self.detectors, self.shares(), strict=True):
            if detector.technique in names:
                of_detector = self._pull_of(detector, fakes, reals, stream)
                loss = loss + whole * share * of_detector.loss
                gradient = gradient + whole * share * of_detector.gradient
        self._keep(fakes, stream)
        self.step += 1
        return Pull(loss, self.rules.strength * self.own_scale * gradient)

    def shares(self) -> Tensor:
        """Return the share of each detector in the pull: the excess of its AUC over chance, in sum at most 1."""
        excess = torch.stack([(each.auc - 0.5 - self.rules.chance).clamp_min(0) for each in self.detectors])
        excess = excess * len(self.techniques) / len(self.detectors)
        return excess / excess.sum().clamp_min(1)

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
            "replayed": self.replayed,
            "own_scale": self.own_scale,
            "step": self.step,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        for detector, saved in zip(self.detectors, state["detectors"], strict=True):
            detector.restore(saved)
        self.replayed, self.step = state["replayed"].clone(), state["step"]
        self.own_scale = state["own_scale"].to(self.own_scale.device)

    # --- steps -----------------------------------------------------------------------------------------------------

    def _head_start(self) -> None:
        """Let the detectors learn before the response begins, from the fakes of earlier steps alone."""
        for step in range(self.rules.head_start):
            stream = torch.Generator().manual_seed(derive_seed(self.seed, "head start", step))
            reals, fakes = self._reals(self.batch, stream), self._earlier(self.batch, stream)
            for detector in self.detectors:
                self._learn(detector, reals, fakes, stream)

    def _learn(self, detector: LiveDetector, reals: Tensor, fakes: Tensor, stream: torch.Generator) -> None:
        """Take one step of a detector: relativistic pairs with R1 and R2, as the discriminator's default loss has."""
        critic = detector.critic
        inputs = critic.learned_from(torch.cat([reals, fakes]), stream)
        with torch.random.fork_rng([inputs.device] if inputs.is_cuda else [], enabled=critic.draws):
            if critic.draws:
                torch.manual_seed(int(torch.randint(1 << 31, (), generator=stream)))
            logits, squared = squared_gradient(critic.logits, inputs)
        real, fake = logits.float().split([len(reals), len(fakes)])
        gamma = self.rules.gamma if critic.on_pixels else self.rules.gamma_features
        loss = nn.functional.softplus(real - fake).mean() + gamma / 2 * squared.sum() / len(reals)
        detector.optimizer.zero_grad()
        loss.backward()
        detector.optimizer.step()

    def _pull_of(self, detector: LiveDetector, fakes: Tensor, reals: Tensor, stream: torch.Generator) -> Pull:
        """Return the objective of one detector at the fakes, and its gradient over the smoothed size of it."""
        critic, images = detector.critic.eval(), fakes.detach().requires_grad_()
        with torch.no_grad():
            of_reals = critic.logits(critic.seen(reals, stream)).float()
        loss = self.objective(critic.logits(critic.seen(images, stream)).float(), of_reals)
        (gradient,) = torch.autograd.grad(loss, images)
        critic.train()
        detector.scale = _smoothed(detector.scale, _size(gradient))
        return Pull(loss.detach(), gradient / detector.scale.clamp_min(TINY))

    @torch.no_grad()
    def _look(self, fakes: Tensor, stream: torch.Generator) -> None:
        """Measure the AUC of every detector on reals that none learned from."""
        places = torch.randperm(len(self.validation), generator=stream)[:VALIDATED]
        images = torch.cat([self.validation.images(places), fakes])
        for detector in self.detectors:
            detector.critic.eval()
            logits = detector.critic.logits(detector.critic.seen(images, stream)).float()
            detector.critic.train()
            real, fake = logits[: len(places)], logits[len(places) :, None]
            auc = ((fake > real).float() + 0.5 * (fake == real).float()).mean()
            detector.auc = auc if self.step == 0 else SMOOTHING * detector.auc + (1 - SMOOTHING) * auc

    def _renew(self) -> None:
        """Begin the second detectors anew whose turn it is."""
        every, count = self.rules.renew_images, len(self.techniques)
        if every is None or self.step == 0:
            return
        for k, technique in enumerate(self.techniques):
            turn = (self.step * self.batch + every * k // count) % every
            if turn < self.batch:
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


def _size(gradient: Tensor) -> Tensor:
    """Root mean square (scalar)."""
    return gradient.float().square().mean().sqrt()


def _smoothed(scale: Tensor, size: Tensor) -> Tensor:
    """Return the smoothed size. The first one is taken as it is."""
    return torch.where(scale == 0, size, SCALE_DECAY * scale + (1 - SCALE_DECAY) * size)
