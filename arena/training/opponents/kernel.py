"""Match the distribution of each technique's features to that of reals, rather than the verdicts of detectors.

A fresh detector sees a technique's features of reals and of fakes. It is at chance if these have one distribution,
whatever its head. The maximum mean discrepancy (MMD, Gretton et al. 2012) measures how far the two are apart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from arena.core.machine import parallel_map
from arena.core.seeding import derive_seed
from arena.detectors.base import Detector, FittedDetector, LearnedDetector
from arena.detectors.random_critic import random_filters
from arena.detectors.techniques.mmd import kernel
from arena.training.objectives import Objective
from arena.training.opponents.networks import random_crops, soft_features
from arena.training.opponents.opponents import Opponents, Pull
from arena.training.opponents.size import TINY, JointPull, pull_of_equal_size

SHRINKAGE = 0.1
"""Part of the mean variance that is added to each principal component's."""
FARTHEST = 3.0
"""Whitened features are cut off at this many times their usual length, the root of their number."""
LOOK = 10
"""Pulls of a technique between two counts of its zero gradients."""
SPLITS = 64
"""Splits of the reals by which the MMD between reals and reals is known."""
SMOOTHING = 0.9
"""Weight of the MMD so far in the next one."""

FeatureMap = Callable[[Tensor, torch.Generator], Tensor]
"""Images (B, C, H, W) and a stream -> features (B, F), with a gradient to the images."""


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """Pull fakes by the MMD between their features and those of reals, for each technique whose features are known.

    Args:
        strength: most of the pull of all techniques together, in units of the discriminator's own gradient.
        sample: techniques drawn at each step.
        components: most principal components of a technique's features.
        reals: most reals that a step is compared with.
        queue: earlier fakes that a step adds to its own, without a gradient.
        ramp: MMD above that of reals, in deviations of the latter, over which a pull grows from nothing to its whole.
        beside: objective of detectors' logits that pulls as well. None for none.
    """

    strength: PositiveFloat
    sample: PositiveInt
    components: PositiveInt
    reals: PositiveInt
    queue: PositiveInt
    ramp: PositiveFloat
    beside: Objective | None = None


class Whitening(NamedTuple):
    """Principal components of reals and fakes alike, each divided by its deviation.

    Fakes take part, since a direction in which reals do not vary may be one in which fakes differ from them.
    """

    mean: Tensor
    deviation: Tensor
    axes: Tensor

    @classmethod
    def of(cls, features: Tensor, components: int) -> Self:
        """Fit to features (N, F) of both classes."""
        features = features.double()
        mean, deviation = features.mean(0), features.std(0)
        deviation = torch.where(deviation > 1e-6, deviation, 1.0)
        _, singular, axes = torch.linalg.svd((features - mean) / deviation, full_matrices=False)
        variances = singular.square() / len(features)
        kept = min(components, int((variances > 1e-9).sum()))
        scales = (variances[:kept] + SHRINKAGE * variances[:kept].mean()).sqrt()
        return cls(mean.float(), deviation.float(), (axes[:kept].T / scales).float())

    def __call__(self, features: Tensor) -> Tensor:
        """Return whitened features (B, D) of features (B, F), none of them too long."""
        white = ((features.float() - self.mean) / self.deviation) @ self.axes
        longest = FARTHEST * white.shape[1] ** 0.5
        return white * (longest / white.norm(dim=1, keepdim=True).clamp_min(TINY)).clamp_max(1)


def discrepancy(fakes: Tensor, reals: Tensor, width: Tensor, earlier: Tensor | None = None) -> Tensor:
    """Return the unbiased squared MMD (scalar) between features of fakes and of reals, with a gradient to ``fakes``.

    Its mean is 0 where the two have one distribution (Gretton et al. 2012, equation 3). The kernel is the rational
    quadratic one of ``arena.detectors.techniques.mmd``.

    Args:
        fakes: (N, D).
        reals: (M, D).
        width: of the kernel.
        earlier: (E, D), further fakes, to which no gradient is computed. None for none.
    """
    reals, earlier = reals.detach(), (fakes[:0] if earlier is None else earlier).detach()
    n, m = len(fakes) + len(earlier), len(reals)
    with torch.no_grad():
        of_reals, of_earlier = (kernel(x, x, width).sum() - len(x) for x in (reals, earlier))
        across = kernel(earlier, reals, width).sum()
    of_fakes = kernel(fakes, fakes, width).sum() - len(fakes) + 2 * kernel(fakes, earlier, width).sum() + of_earlier
    across = across + kernel(fakes, reals, width).sum()
    return of_fakes / (n * (n - 1)) + of_reals / (m * (m - 1)) - 2 * across / (n * m)


class MatchedTechnique:
    """A technique whose features are matched: reals in its whitened space, and what reals differ from reals.

    Args:
        features: of images.
        whitening: (K, C, H, W) reals that the whitening is fitted on. None of them is among ``reals``, or the fakes of
            later steps would be farther from these than reals are.
        reals: (N, C, H, W) from the evidence path that no detector of these features learned from.
        fakes: (M, C, H, W) of the round. One half is for the whitening, and the other is the first queue.
        rules: sizes of a step.
        batch: fakes of a step.
        seed: of its streams.
    """

    def __init__(
        self,
        features: FeatureMap,
        whitening: Tensor,
        reals: Tensor,
        fakes: Tensor,
        rules: Kernel,
        batch: int,
        seed: int,
    ) -> None:
        self.features, self.rules = features, rules
        rng = torch.Generator().manual_seed(derive_seed(seed, "whitening"))
        with torch.no_grad():
            to_whiten, of_reals, of_fakes = (
                torch.cat([features(part, rng) for part in images.split(512)]) for images in (whitening, reals, fakes)
            )
        n = min(len(to_whiten), len(of_fakes) // 2)
        self.whitening = Whitening.of(torch.cat([to_whiten[:n], of_fakes[:n]]), rules.components)
        self.reals = self.whitening(of_reals)
        self.width = torch.pdist(self.reals[:512]).square().median().clamp_min(TINY)
        compared = min(batch + rules.queue, len(reals) // 2)
        self.compared = min(rules.reals, len(reals) - compared)
        self.pulled, self.queued = min(batch, compared), max(compared - batch, 0)
        splits = torch.stack([self._of_reals(compared, rng) for _ in range(SPLITS)])
        self.mean, self.deviation = splits.mean(), splits.std().clamp_min(TINY)
        self.queue = self.whitening(of_fakes[n:])[: self.queued]
        self.excess = torch.zeros((), device=reals.device)
        """Smoothed MMD above that of reals, in deviations of the latter."""
        self.scale = torch.zeros((), device=reals.device)
        self.pulls = 0

    def _of_reals(self, n: int, rng: torch.Generator) -> Tensor:
        order = torch.randperm(len(self.reals), generator=rng)
        return discrepancy(self.reals[order[:n]], self.reals[order[n : n + self.compared]], self.width)

    def pull(self, fakes: Tensor, rng: torch.Generator) -> Pull:
        """Return the excess of a step's fakes (B, C, H, W) over reals, and its gradient over the size of it.

        With few reals only the first fakes are compared, as many as a half of these reals. All is computed in fp32, as
        the features of the reals and the unit are: products in bf16 would add several deviations.
        """
        images = fakes.detach().float().requires_grad_()
        with torch.autocast(images.device.type, enabled=False):
            white = self.whitening(self.features(images[: self.pulled], rng))
            reals = self.reals[torch.randperm(len(self.reals), generator=rng)[: self.compared]]
            found = discrepancy(white, reals, self.width, self.queue)
            excess = (found - self.mean) / self.deviation
            (gradient,) = torch.autograd.grad(excess, images)
        pull, self.scale = pull_of_equal_size(gradient, self.scale)
        self.excess = SMOOTHING * self.excess + (1 - SMOOTHING) * excess.detach() if self.pulls else excess.detach()
        latest = torch.cat([self.queue, white.detach()])
        self.queue = latest[max(len(latest) - self.queued, 0) :]
        self.pulls += 1
        return Pull(excess.detach(), pull)

    @property
    def share(self) -> Tensor:
        """Part of its pull that counts: none where fakes differ from reals as reals do, all from ``ramp`` on."""
        return ((self.excess - 1) / self.rules.ramp).clamp(0, 1)

    def state(self) -> dict[str, Any]:
        """Return all that a resumed response needs."""
        return {"queue": self.queue, "excess": self.excess, "scale": self.scale, "pulls": self.pulls}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        device = self.reals.device
        self.queue, self.excess, self.scale = (state[name].to(device) for name in ("queue", "excess", "scale"))
        self.pulls = state["pulls"]


class KernelOpponents(Opponents):
    """Techniques whose features pull the fakes to the distribution of reals.

    Args:
        rules: how they pull.
        techniques: by name.
    """

    def __init__(self, rules: Kernel, techniques: Mapping[str, MatchedTechnique]) -> None:
        self.rules, self.techniques = rules, dict(techniques)
        self.joint = JointPull(rules.strength, next(iter(self.techniques.values())).reals.device)

    def pull(self, fakes: Tensor, own: Tensor, rng: torch.Generator) -> Pull:
        """Return the mean excess of the drawn techniques, and their pull."""
        stream, names = torch.Generator().manual_seed(derive_seed(rng.initial_seed(), "kernel")), list(self.techniques)
        order = torch.randperm(len(names), generator=stream)[: self.rules.sample].tolist()
        drawn = [names[k] for k in order]

        def pull(name: str) -> Pull:
            """Return the pull of one technique."""
            own_stream = torch.Generator().manual_seed(derive_seed(stream.initial_seed(), "technique", player=name))
            technique = self.techniques[name]
            with self.meter.work(f"{name} features beside {len(technique.queue)} earlier"):
                return technique.pull(fakes, own_stream)

        pulls = parallel_map(pull, drawn, fakes.device)
        loss, gradient, shares = own.new_zeros(()), torch.zeros_like(own), own.new_zeros(())
        for name, of_technique in zip(drawn, pulls, strict=True):
            technique = self.techniques[name]
            if technique.pulls % LOOK == 0:
                self.meter.gradient(name, of_technique.gradient[: technique.pulled])
            loss = loss + of_technique.loss / len(order)
            share = technique.share / len(order)
            shares = shares + share
            gradient = gradient + torch.where(share > 0, share * of_technique.gradient, 0)
        return Pull(loss, self.joint(gradient, shares, own))

    def figures(self) -> dict[str, Tensor]:
        """Return the excess of each technique, for the log."""
        return {f"{name}_excess": technique.excess for name, technique in self.techniques.items()}

    def state(self) -> dict[str, Any]:
        """Return all that a resumed response needs, as tensors and plain values."""
        techniques = {name: technique.state() for name, technique in self.techniques.items()}
        return {"joint": self.joint.state(), "techniques": techniques}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Return to a saved state."""
        self.joint.restore(state["joint"])
        for name, technique in self.techniques.items():
            technique.restore(state["techniques"][name])


def random_features(channels: int, seed: int, device: torch.device) -> FeatureMap:
    """Return features (B, 2 K) behind K fixed random filters: mean and deviation of each response over the pixels."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        filters = random_filters(channels).to(device)

    def features(images: Tensor, rng: torch.Generator) -> Tensor:
        responses = F.leaky_relu(F.conv2d(images, filters, padding=1), 0.2).float().flatten(2)
        return torch.cat([responses.mean(2), (responses.var(2, correction=0) + TINY).sqrt()], dim=1)

    return features


def feature_map(detector: Detector) -> FeatureMap:
    """Return the features of a technique: the published ones, or those that the last layer of its network sees.

    The network is that of a detector in the loop, frozen. The last layer is the linear one that acts last. Where a
    network has no linear layer, its logit is the feature.
    """
    assert isinstance(detector, FittedDetector | LearnedDetector)
    detector.eval().requires_grad_(False)
    if isinstance(detector, FittedDetector):
        return lambda images, rng: soft_features(detector, images, rng)
    layers = [module for module in detector.modules() if isinstance(module, nn.Linear)]

    def seen_by_the_last_layer(images: Tensor, rng: torch.Generator) -> Tensor:
        inputs: list[Tensor] = []
        handles = [layer.register_forward_pre_hook(lambda _, seen: inputs.append(seen[0])) for layer in layers]
        try:
            logits = detector.logits(random_crops(images, detector.side, rng))
        finally:
            for handle in handles:
                handle.remove()
        return (inputs[-1] if inputs else logits[:, None]).flatten(1).float()

    return seen_by_the_last_layer
