"""Forge banks of a round, resampled where the race says so.

A discriminator of real against fake estimates how much likelier an image is among reals than among fakes. A generator's
images can be resampled by that ratio and are then nearer to the reals, without any training (discriminator rejection
sampling, Azadi et al. 2019; Metropolis-Hastings GAN, Turner et al. 2019). What all fakes have in common stays.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from arena.config.schema import STACK
from arena.core.machine import most_at_once, parallel_map
from arena.core.seeding import derive_seed
from arena.core.tensors import load_module, save_module
from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, score_all
from arena.detectors.stack import Stack
from arena.generators.base import Generator
from arena.race.checkpoints import load_generator, to_bank
from arena.race.race import Race
from arena.training.meter import Meter


class Importance(NamedTuple):
    """Weights exp(-shrink * logit) over their mean, at most ``cap``, of candidates with a scorer's logits.

    Args:
        shrink: factor of the logits, from 0 to 1.
        log_mean: logarithm of the mean of exp(-shrink * logit).
        cap: largest weight.
    """

    shrink: float
    log_mean: float
    cap: float

    @classmethod
    def over(cls, logits: Tensor, shrink: float, cap: float) -> "Importance":
        """Return the weights whose mean over candidates with these logits (N,) is 1 before the cap.

        >>> weights = Importance.over(torch.tensor([0.0, 999.0, 999.0, 999.0]), shrink=1.0, cap=2.0)
        >>> weights.log(torch.tensor([0.0, 999.0])).exp().tolist()
        [2.0, 0.0]
        """
        return cls(shrink, float((-shrink * logits.double()).logsumexp(0)) - math.log(len(logits)), cap)

    def log(self, logits: Tensor) -> Tensor:
        """Return the logarithm of the weight of each logit (N,): float64 (N,)."""
        return (-self.shrink * logits.double() - self.log_mean).clamp_max(math.log(self.cap))


class Scorer(NamedTuple):
    """Detectors that tell fakes of a round from reals of the loop, and the stack over them.

    Args:
        detectors: by technique, in eval mode, so that they may score several galleries at once.
        stack: its logit s estimates the logarithm of p(fake) over p(real).
    """

    detectors: dict[str, Detector]
    stack: Stack

    @classmethod
    def load(cls, race: Race, round_index: int) -> "Scorer":
        """Return the scorer that was kept when a round was forged. Its weights have shrink 1 and a mean of 1."""
        assert race.stack is not None
        detectors = {technique: race.probing.new_detector(technique, 0) for technique in race.probing.members}
        scorer = cls(detectors, race.stack(members=len(detectors)))
        for name, module in (*detectors.items(), (STACK, scorer.stack)):
            load_module(module, race.layout.resampler(round_index, name))
        for detector in detectors.values():
            detector.to(race.machine.device).eval()
        return scorer

    def save(self, race: Race, round_index: int, importance: Importance) -> None:
        """Keep the scorer of a round, with its stack shrunk and shifted so that weights are exp(-s)."""
        for technique, detector in self.detectors.items():
            save_module(detector, race.layout.resampler(round_index, technique))
        assert race.stack is not None
        shrunk = race.stack(members=len(self.detectors))
        shrunk.weight.copy_(importance.shrink * self.stack.weight)
        shrunk.bias.copy_(importance.shrink * self.stack.bias + importance.log_mean)
        save_module(shrunk, race.layout.resampler(round_index, STACK))

    def __call__(self, gallery: Gallery) -> Tensor:
        """Logits (N,) of all images."""
        return self.stack(torch.stack([*score_all(self.detectors, gallery).values()], dim=1))


def forge_banks(
    race: Race, round_index: int, counts: Mapping[str, int], seed: int, meter: Meter | None = None
) -> dict[str, Tensor]:
    """Return banks of G_round on the data's grey levels, uint8 (n, C, H, W) by name.

    Args:
        race: of the generator.
        round_index: of the generator. A round that resamples has its scorer beside its generator.
        counts: name of the bank -> number of images.
        seed: of the streams.
        meter: counts what forging and scoring the candidates costs.
    """
    generator = load_generator(race, round_index)
    scorer = Scorer.load(race, round_index) if race.resamples(round_index) else None
    if scorer is None or not scorer.stack.weight.any():  # a shrink of 0 draws at random
        forged = generator.forge(counts, seed, race.generator_reals)
        return {name: to_bank(images, race.data.levels) for name, images in forged.items()}
    importance, banks = Importance(1.0, 0.0, race.resampling.cap), dict[str, Tensor]()
    for name, count in counts.items():
        rng, keys = stream_of_draws(seed, name), torch.empty(0, dtype=torch.float64)
        for images, logits in candidates_of(race, generator, scorer, name, count, seed, meter or Meter()):
            keys = torch.cat([keys, with_noise(importance.log(logits), rng)])
            banks[name] = torch.cat([banks[name], images]) if name in banks else images
            kept = largest(keys, count)
            banks[name], keys = banks[name][kept], keys[kept]
    return banks


def candidates_of(
    race: Race,
    generator: Generator,
    scorer: Callable[[Gallery], Tensor],
    name: str,
    count: int,
    seed: int,
    meter: Meter,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the candidates of a bank, uint8 (count, C, H, W), and their logits (count,).

    They come in as many parts as a fake has candidates. Each thread holds one part at a time as floats. The first part
    is the bank as it would be without resampling.
    """

    def forged(part: int) -> tuple[Tensor, Tensor]:
        """Return a part and its logits."""
        stream = derive_seed(seed, "candidates", part) if part else seed
        with meter.work(f"{count} candidates"):
            floats = generator.forge({name: count}, stream, race.generator_reals)[name]
            images = to_bank(floats, race.data.levels)
            return images, scorer(Gallery(images, race.evidence, race.machine.device))

    parts, together = range(race.resampling.factor), most_at_once() if race.machine.device.type == "cpu" else 1
    for start in parts[::together]:
        yield from parallel_map(forged, parts[start : start + together], race.machine.device)


def stream_of_draws(seed: int, name: str) -> torch.Generator:
    """Return the stream by which a bank is drawn from its candidates."""
    return torch.Generator().manual_seed(derive_seed(seed, "resample", player=name))


def with_noise(log_weights: Tensor, rng: torch.Generator) -> Tensor:
    """Return keys (N,) of which the largest are a weighted draw without replacement (Efraimidis & Spirakis 2006).

    They are logarithms of the weights with Gumbel noise.
    """
    return log_weights - torch.empty(len(log_weights), dtype=torch.float64).exponential_(generator=rng).log()


def largest(keys: Tensor, count: int) -> Tensor:
    """Return the places of the largest keys (N,) in ascending order, ``count`` or all there are.

    The order tells nothing of the weights, so that the first part of a bank is a sample as good as the whole.
    """
    return keys.topk(min(count, len(keys))).indices.sort().values


def effective_share(of_candidates: Tensor) -> float:
    """Return the effective sample size of weights (N,) as a share of N: their mean squared over the mean square (Kish).

    >>> effective_share(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    0.5
    """
    return float(of_candidates.mean() ** 2 / of_candidates.square().mean())
