"""Check, before anything is trained, that the parts of a race fit together."""

import re

import torch

from arena.core.errors import ArenaError, require
from arena.generators.base import TrainableGenerator
from arena.generators.style import StyleGenerator
from arena.race.case import VALIDATION_SHARE
from arena.race.hardening import attackers
from arena.race.race import Race
from arena.race.selection import halving
from arena.training.opponents.kernel import Kernel
from arena.training.opponents.live import Live
from arena.training.opponents.weighting import Uniform


def check(race: Race) -> None:
    """Check, before anything is trained, that the parts of a race fit together.

    Raises:
        ArenaError: naming the key and the expected value.
    """
    for technique in race.access.held_out:
        if technique not in race.members:
            known = ", ".join(race.members)
            raise ArenaError(f"access.held_out={technique}: expected techniques of the battery ({known})")
    for technique in race.battery.aligned:
        learning = [name for name, example in race.examples_of.items() if example.needs_fakes]
        if technique not in learning:
            known = ", ".join(learning)
            raise ArenaError(f"battery.aligned={technique}: expected techniques that learn from fakes ({known})")
    if race.judge.hardened:
        share, levels = race.judge.hardened, race.judge.hardened_levels
        require(bool(attackers(race)), "judge.hardened", share, "0, or a differentiable technique in the battery")
        require(
            levels < race.data.levels,
            "judge.hardened_levels",
            levels,
            f"less than the data's {race.data.levels} grey levels",
        )
    if race.judge.locked:
        require(race.data.locked > 0, "data.locked", race.data.locked, "above 0, the share that judge.locked opens")
    race.features.check()
    _ = race.examples_of  # builds every detector, so that every constructor checks its arguments
    generator = race.new_generator()
    if isinstance(generator, TrainableGenerator):
        _check_discriminator(race, generator)
        warm = race.schedule.warm_up_images > 0 or race.branch is not None or bool(race.fingerprint)
        expected = f"at least one batch ({race.schedule.batch}), since this generator starts at random"
        require(warm, "schedule.warm_up_images", race.schedule.warm_up_images, expected)
        weight, possible = race.loss.path_length, isinstance(generator, StyleGenerator)
        require(weight == 0 or possible, "loss.path_length", weight, "0, since only generator=style has paths")
        if isinstance(generator, StyleGenerator) and generator.minibatch_group:
            group, batch = generator.minibatch_group, race.schedule.batch
            require(batch % group == 0, "generator.minibatch_group", group, f"a divisor of schedule.batch={batch}")
    elif race.rounds:
        words = re.findall("[A-Z][a-z0-9]*", type(generator).__name__.removesuffix("Generator"))
        name = "_".join(words).lower()
        raise ArenaError(f"race.rounds={race.rounds}: expected 0, since generator={name} does not train")
    generator.check(race.bank.counts)
    if race.bag is not None:
        reals, folds = len(race.judge_reals), race.judge.folds
        tested = min(reals, race.bank.test) // folds
        stopped_on = int((reals - reals // folds) * VALIDATION_SHARE)
        fewest = min(tested, race.bank.cell, stopped_on, race.bank.validation)
        expected = f"at most half of the images of a fold, its validation or a cell, {fewest // 2}"
        require(2 * race.bag.n <= fewest, "battery.bag.n", race.bag.n, expected)
    if isinstance(race.pool, Live) and race.access.labels == "shuffled":
        raise ArenaError(
            f"access={race.access.name}: expected pool=all, last or mixture and objective=fool or match, "
            "since live detectors learn true labels"
        )
    if not isinstance(race.pool, Live) and race.access.critics == "random":
        raise ArenaError(f"access={race.access.name}: expected pool=live, since random critics have to learn")
    if not isinstance(race.pool, Live) and not isinstance(race.weighting, Uniform):
        raise ArenaError(f"weighting={type(race.weighting).__name__.lower()}: expected pool=live, or weighting=uniform")
    if race.rounds and race.access.levels and not race.attacked:
        gradients = race.access.levels == ["gradients"]
        needed = "a differentiable technique" if gradients else "pool=live and a technique"
        raise ArenaError(f"access={race.access.name}: expected {needed} that is not held out, or access=none")
    if {race.access_to(technique) for technique in race.attacked} & {"labels", "scores"}:
        attacking = race.selection.attacking
        expected = f"at least {attacking}: images to submit in each branch that attacks"
        require(race.access.queries >= attacking, "access.queries", race.access.queries, expected)
    if isinstance(race.objective, Kernel):
        _check_kernel(race, race.objective)
    if race.selection.multipliers:
        _check_selection(race)
    if race.resamples(race.rounds):
        _check_stack(race, "resampling")


def _check_kernel(race: Race, objective: Kernel) -> None:
    """Check that features are known where nothing else pulls, and that the pool belongs to the objective."""
    if race.rounds and race.access.levels and objective.beside is None and not race.matched:
        raise ArenaError(
            f"access={race.access.name}: expected one that knows features or gradients for objective=kernel, or none"
        )
    if isinstance(race.pool, Live) and objective.beside is None:
        raise ArenaError(
            "objective=kernel: expected objective=relative_kernel, or pool=all, since it attacks no live detector"
        )
    if not isinstance(race.pool, Live) and objective.beside is not None:
        expected = "pool=live, or objective=fool, match, relative or kernel"
        raise ArenaError(f"objective=relative_kernel: expected {expected}")


def _check_stack(race: Race, group: str) -> None:
    """Check that there is a stack, by whose AUC probes compare."""
    if race.stack is None:
        raise ArenaError(f"battery.stack=null: expected a stack, by whose AUC {group} compares, or {group}=none")


def _check_selection(race: Race) -> None:
    """Check that the generator has detectors to probe with, and that these have something to choose from."""
    if not race.probing.members:
        raise ArenaError(
            f"access={race.access.name}: expected one that knows features or gradients, access=random or "
            "selection=none, since probes are of techniques that the generator knows"
        )
    _check_stack(race, "selection")
    branches, steps = len(race.selection.multipliers), race.schedule.response_images // race.schedule.batch
    shortest = min((steps for _, steps in halving(branches, steps, race.selection.share)), default=1)
    expected = f"more of schedule.response_images={race.schedule.response_images}: a batch or more for each branch"
    require(shortest > 0, "selection.share", race.selection.share, expected)


def _check_discriminator(race: Race, generator: TrainableGenerator) -> None:
    """Run the discriminator on images of the size that detectors see."""
    side = race.data.resolution
    try:
        race.new_discriminator(generator)(race.evidence(torch.zeros(2, race.data.channels, side, side)))
    except (ArenaError, RuntimeError) as error:
        raise ArenaError(
            f"evidence.resize={race.evidence.resize}: expected a side that the generator's discriminator takes, "
            f"such as {side}"
        ) from error
