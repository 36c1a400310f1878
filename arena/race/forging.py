"""Forge banks of a round, resampled where the race says so.

A discriminator of real against fake estimates how much likelier an image is among reals than among fakes. A generator's
images can be resampled by that ratio and are then nearer to the reals, without any training (discriminator rejection
sampling, Azadi et al. 2019; Metropolis-Hastings GAN, Turner et al. 2019). What all fakes have in common stays.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

from arena.config.schema import STACK, ResamplingConfig
from arena.core.seeding import derive_seed
from arena.detectors.base import Detector
from arena.detectors.gallery import Gallery, score_all
from arena.detectors.stack import Stack
from arena.generators.base import Generator
from arena.race.checkpoints import load_generator, save_tensors, to_bank
from arena.race.race import Race


def forge_banks(race: Race, round_index: int, counts: Mapping[str, int], seed: int) -> dict[str, Tensor]:
    """Return banks of G_round on the data's grey levels, uint8 (n, C, H, W) by name.

    Args:
        race: of the generator.
        round_index: of the generator. A round that resamples has its scorer beside its generator.
        counts: name of the bank -> number of images.
        seed: of the streams.
    """
    generator = load_generator(race, round_index)
    if race.resampling.factor == 1:
        forged = generator.forge(counts, seed, race.generator_reals)
        return {name: to_bank(images, race.data.levels) for name, images in forged.items()}
    candidates = candidates_of(race, generator, Scorer.load(race, round_index), counts, seed)
    return {name: each.draw(1.0, race.resampling, counts[name], seed, name) for name, each in candidates.items()}


class Scorer(NamedTuple):
    """Detectors that tell fakes of a round from reals of the loop, and the stack over them.

    Args:
        detectors: by technique.
        stack: its logit s estimates the logarithm of p(fake) over p(real).
    """

    detectors: dict[str, Detector]
    stack: Stack

    @classmethod
    def load(cls, race: Race, round_index: int) -> "Scorer":
        """Return the scorer that was kept when a round was forged."""
        assert race.stack is not None
        detectors = {technique: race.probing.new_detector(technique, 0) for technique in race.probing.members}
        scorer = cls(detectors, race.stack(members=len(detectors)))
        for name, module in (*detectors.items(), (STACK, scorer.stack)):
            module.load_state_dict(load_file(race.layout.resampler(round_index, name)))
        for detector in detectors.values():
            detector.to(race.machine.device)
        return scorer

    def save(self, race: Race, round_index: int, shrink: float) -> None:
        """Keep the scorer of a round. The weights of its stack are shrunk, so that banks are drawn by exp(-s)."""
        for technique, detector in self.detectors.items():
            save_tensors(detector, race.layout.resampler(round_index, technique))
        assert race.stack is not None
        shrunk = race.stack(members=len(self.detectors))
        shrunk.load_state_dict({name: shrink * value for name, value in self.stack.state_dict().items()})
        save_tensors(shrunk, race.layout.resampler(round_index, STACK))

    def __call__(self, gallery: Gallery) -> Tensor:
        """Logits (N,) of all images."""
        return self.stack(torch.stack([*score_all(self.detectors, gallery).values()], dim=1))


class Candidates(NamedTuple):
    """Fakes from which a bank is drawn: uint8 (N, C, H, W), and the logits (N,) of a scorer, higher for fake."""

    images: Tensor
    logits: Tensor

    def draw(self, shrink: float, settings: ResamplingConfig, count: int, seed: int, name: str) -> Tensor:
        """Return ``count`` images, drawn without replacement and in the order of their z.

        Args:
            shrink: factor of the logits.
            settings: with the cap of the weights.
            count: images to draw.
            seed: of the bank.
            name: of the bank, which names its stream.
        """
        rng = torch.Generator().manual_seed(derive_seed(seed, "resample", player=name))
        return self.images[drawn(weights(self.logits, shrink, settings.cap), count, rng)]


def candidates_of(
    race: Race, generator: Generator, scorer: Scorer, counts: Mapping[str, int], seed: int
) -> dict[str, Candidates]:
    """Forge the candidates of each bank, and score them.

    They are made in as many parts as a fake has candidates, so that memory does not hold them all as floats. The first
    part is the bank as it would be without resampling.
    """
    candidates = {}
    for name, count in counts.items():
        images, logits = list[Tensor](), list[Tensor]()
        for part in range(race.resampling.factor):
            stream = derive_seed(seed, "candidates", part) if part else seed
            forged = generator.forge({name: count}, stream, race.generator_reals)[name]
            images.append(to_bank(forged, race.data.levels))
            logits.append(scorer(Gallery(images[-1], race.evidence, race.machine.device)))
        candidates[name] = Candidates(torch.cat(images), torch.cat(logits))
    return candidates


def weights(logits: Tensor, shrink: float, cap: float) -> Tensor:
    """Return exp(-shrink * logit) of each logit (N,), at most ``cap`` times their mean, in units of it: float64 (N,).

    >>> weights(torch.tensor([0.0, 999.0, 999.0, 999.0]), shrink=1.0, cap=2.0).tolist()
    [2.0, 0.0, 0.0, 0.0]
    """
    return (logits.double().neg() * shrink).softmax(0).mul(len(logits)).clamp_max(cap)


def effective_share(of_candidates: Tensor) -> float:
    """Return the effective sample size of weights (N,) as a share of N: their mean squared over the mean square (Kish).

    >>> effective_share(torch.tensor([1.0, 1.0, 0.0, 0.0]))
    0.5
    """
    return float(of_candidates.mean() ** 2 / of_candidates.square().mean())


def drawn(of_candidates: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """Return ``count`` places in ascending order, drawn one after the other without replacement by weights (N,).

    The largest of logarithms of the weights with Gumbel noise are such a draw (Efraimidis & Spirakis 2006). The order
    tells nothing of the weights, so that the first part of a bank is a sample as good as the whole.
    """
    noise = -torch.empty(len(of_candidates), dtype=torch.float64).exponential_(generator=rng).log()
    return (of_candidates.double().log() + noise).topk(count).indices.sort().values
