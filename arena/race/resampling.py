"""Learn by which weights the fakes of a round are resampled.

The scorer learns as detectors in the loop do: from their reals, and from fakes of a stream of its own. No candidate of
a bank is among them. How much the logit is trusted, the shrink, fresh probes decide on further fakes.
"""

import torch
from torch import Tensor

from arena.config.schema import STACK
from arena.core.seeding import derive_seed
from arena.detectors.gallery import score_all
from arena.generators.base import Generator
from arena.race.checkpoints import Bank, load_generator, to_bank
from arena.race.forging import (
    Importance,
    Scorer,
    candidates_of,
    effective_share,
    largest,
    stream_of_draws,
    with_noise,
)
from arena.race.phases.detectors import beside_loop_reals, train_anew
from arena.race.probes import Probes
from arena.race.race import Race
from arena.records.schema import AucEstimate, Record, ResamplingRecord
from arena.training.meter import Meter


def learn_to_resample(race: Race, round_index: int, meter: Meter) -> list[Record]:
    """Train the scorer of a round, choose its shrink and keep both. The records have what the probes read of each."""
    generator = load_generator(race, round_index)
    scorer, probes = train_scorer(race, generator, round_index, meter), Probes(race, round_index, meter)
    candidates, logits = dict[str, Tensor](), dict[str, Tensor]()
    counts = race.probes.counts
    for name, count in counts.items():
        parts = candidates_of(race, generator, scorer, name, count, probes.seed, meter)
        candidates[name], logits[name] = (torch.cat(each) for each in zip(*parts, strict=True))
    every, read = torch.cat([*logits.values()]), dict[Importance, dict[str, AucEstimate]]()
    for shrink in dict.fromkeys(race.resampling.shrinks):
        importance = Importance.over(every, shrink, race.resampling.cap)
        banks = {}
        for name, count in counts.items():
            keys = with_noise(importance.log(logits[name]), stream_of_draws(probes.seed, name))
            banks[name] = candidates[name][largest(keys, count)]
        read[importance] = probes(Bank(**banks))
    chosen = min(read, key=lambda importance: read[importance][STACK].auc)
    scorer.save(race, round_index, chosen)
    return [
        ResamplingRecord(
            round=round_index,
            seed=race.seed,
            technique=technique,
            shrink=importance.shrink,
            accepted=1 / race.resampling.factor,
            effective=effective_share(importance.log(every).exp()),
            chosen=importance is chosen,
            **auc.as_fields(),
        )
        for importance, aucs in read.items()
        for technique, auc in aucs.items()
    ]


def train_scorer(race: Race, generator: Generator, round_index: int, meter: Meter) -> Scorer:
    """Train the generator's own detectors with the budget of the loop, and fit the stack on validation.

    They are of the techniques that it knows, or random critics in a control.
    """
    assert race.stack is not None
    seed = race.seed_of("resampling", round_index)
    counts = {"train": race.bank.train, "validation": race.bank.validation}
    forged = generator.forge(counts, derive_seed(seed, "fakes"), race.generator_reals)
    fakes = {name: to_bank(images, race.data.levels) for name, images in forged.items()}
    gallery, learn, stop = beside_loop_reals(race, **fakes)
    detectors = train_anew(race.probing, race.probing.members, (gallery, learn, stop), seed, round_index, meter)
    stack = race.stack(members=len(detectors))
    stack.fit(torch.stack([*score_all(detectors, gallery, stop.which).values()], dim=1), stop.labels)
    for detector in detectors.values():
        detector.eval()
    return Scorer(detectors, stack)
