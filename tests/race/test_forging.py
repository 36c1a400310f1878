"""Fakes are resampled by what detectors of the loop's reals say, and candidates of a bank train no detector."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arena.config.schema import STACK
from arena.core.machine import at_once
from arena.core.tensors import save_module
from arena.detectors.gallery import Gallery
from arena.detectors.random_critic import RandomCritic
from arena.generators.module import module_generator
from arena.race.case import fakes_of_judges
from arena.race.checkpoints import Bank, load_bank, load_generator
from arena.race.forging import (
    Importance,
    Scorer,
    candidates_of,
    effective_share,
    forge_banks,
    largest,
    stream_of_draws,
    with_noise,
)
from arena.race.phases.detectors import LoopReals
from arena.race.phases.fakes import forge
from arena.race.race import Race
from arena.race.resampling import learn_to_resample
from arena.records.schema import ResamplingRecord
from arena.training.meter import Meter
from tests.building import tiny_arena

LOGITS = st.lists(st.floats(-20, 20), min_size=2, max_size=30).map(torch.tensor)


def drawn(weights: torch.Tensor, count: int, rng: torch.Generator) -> torch.Tensor:
    """Places of a draw without replacement by weights (N,)."""
    return largest(with_noise(weights.double().log(), rng), count)


@given(LOGITS, st.floats(0, 1), st.floats(1, 20))
def test_weights_are_bounded_and_fall_with_the_logit(logits: torch.Tensor, shrink: float, cap: float):
    found = Importance.over(logits, shrink, cap).log(logits).exp()
    assert (found <= cap * (1 + 1e-9)).all()
    assert (found[logits.argsort()].diff() <= 1e-9).all()
    assert found.mean() <= 1 + 1e-9
    assert 1 / len(logits) - 1e-9 <= effective_share(found) <= 1 + 1e-9


def test_without_shrink_all_weights_are_equal():
    logits = torch.randn(50)
    torch.testing.assert_close(Importance.over(logits, 0.0, 10.0).log(logits), torch.zeros(50, dtype=torch.float64))


@given(st.integers(1, 30), st.integers(0, 100))
def test_places_are_drawn_once_and_in_order(count: int, seed: int):
    places = drawn(torch.rand(30), count, torch.Generator().manual_seed(seed))
    assert len(places) == count
    assert (places.diff() > 0).all()


def test_one_place_is_drawn_with_a_probability_that_is_its_weight():
    rng, of_places = torch.Generator().manual_seed(0), torch.tensor([1.0, 3.0, 6.0])
    counts = torch.zeros(3)
    for _ in range(3000):
        counts[drawn(of_places, 1, rng)] += 1
    torch.testing.assert_close(counts / 3000, of_places / 10, atol=0.03, rtol=0)


@given(st.integers(1, 10), st.integers(0, 100))
def test_a_draw_in_parts_is_the_draw_from_all(count: int, seed: int):
    keys = with_noise(torch.zeros(30, dtype=torch.float64), torch.Generator().manual_seed(seed))
    kept = torch.empty(0, dtype=torch.long)
    for part in torch.arange(30).split(10):
        kept = torch.cat([kept, part])
        kept = kept[largest(keys[kept], count)]
    assert torch.equal(kept, largest(keys, count))


def test_with_the_true_logit_fakes_have_the_distribution_of_reals():
    """Fakes N(0, 1) and reals N(1, 1): the logarithm of p(fake) over p(real) is 1/2 - x."""
    rng = torch.Generator().manual_seed(0)
    fakes = torch.randn(40_000, generator=rng)
    importance = Importance.over(0.5 - fakes, 1.0, cap=100.0)
    assert importance.log_mean == pytest.approx(0, abs=0.03)  # the mean of p(real) over p(fake) on fakes is 1
    kept = fakes[largest(with_noise(importance.log(0.5 - fakes), rng), 2000)]
    assert kept.mean() == pytest.approx(1, abs=0.1)
    assert kept.std() == pytest.approx(1, abs=0.1)


# --- on a race ----------------------------------------------------------------------------------------------------


RESAMPLED = ("resampling=probes", "resampling.factor=2", "probes.fakes=48")


@pytest.fixture
def race(run: Path) -> Race:
    """A race whose untrained generator forges from twice as many candidates. No network of it learns."""
    return untrained(tiny_arena(run, *RESAMPLED, "resampling.shrinks=[0,1]", "access.held_out=[cnn]"))


def untrained(race: Race) -> Race:
    for round_index in range(race.rounds + 1):
        save_module(race.new_generator(), race.layout.generator(round_index))
    return race


def known(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def candidates(race: Race, name: str, count: int, seed: int) -> list[torch.Tensor]:
    def alike(gallery: Gallery) -> torch.Tensor:
        return torch.zeros(len(gallery))

    generator = load_generator(race, 1)
    return [images for images, _ in candidates_of(race, generator, alike, name, count, seed, Meter())]


def test_banks_are_drawn_from_candidates_and_the_shrink_is_that_of_the_lowest_auc(race: Race):
    records = [record for record in forge(race, 1).records if isinstance(record, ResamplingRecord)]
    of_stack = [record for record in records if record.technique == STACK]
    assert [record.shrink for record in of_stack] == [0, 1]
    (chosen,) = [record for record in of_stack if record.chosen]
    assert chosen.auc == min(record.auc for record in of_stack)
    assert of_stack[0].effective == pytest.approx(1)
    assert of_stack[1].effective < 1
    assert {record.technique for record in records} == {"dct", "spectrum", STACK}
    bank, generator, seed = load_bank(race, 1), load_generator(race, 1), race.seed_of("forge")
    assert {name: len(images) for name, images in bank._asdict().items()} == race.bank.counts
    parts = candidates(race, "test", race.bank.test, seed)
    assert [len(part) for part in parts] == 2 * [race.bank.test]
    assert known(bank.test) <= known(torch.cat(parts))
    plain = Bank.of(generator.forge(race.bank.counts, seed, race.generator_reals), race.data.levels)
    assert torch.equal(parts[0], plain.test)


@pytest.mark.parametrize("noisy", [False, True])
def test_candidates_do_not_depend_on_the_number_of_threads(run: Path, noisy: bool):
    """Noisy draws from torch's global stream."""
    drawn, spent = list[list[tuple[torch.Tensor, torch.Tensor]]](), []
    race = untrained(tiny_arena(run, *RESAMPLED, "resampling.factor=5", "access.held_out=[cnn]"))
    generator = load_generator(race, 1)
    if noisy:
        name = "tests.generators.foreign.Noisy"
        generator = module_generator(resolution=8, channels=1, levels=17, z_dim=4, name=name, trainable=True)
    learn_to_resample(race, 1, Meter())
    for threads in (1, 2, 2):
        meter = Meter()
        with at_once(threads):
            drawn.append([*candidates_of(race, generator, Scorer.load(race, 1), "test", 64, 3, meter)])
        spent.append(meter.spent)
    assert [len(parts) for parts in drawn] == [5, 5, 5]
    for parts in drawn[1:]:
        for (images, logits), (others, of_others) in zip(drawn[0], parts, strict=True):
            assert torch.equal(images, others)
            assert torch.equal(logits, of_others)
    assert spent[0] == spent[1] == spent[2]
    assert spent[0].multiply_accumulates > 0


def test_a_bank_is_the_draw_from_all_of_its_candidates(run: Path):
    race = untrained(tiny_arena(run, *RESAMPLED, "resampling.shrinks=[1]", "access.held_out=[cnn]"))
    forge(race, 1)
    seed, count = race.seed_of("forge"), race.bank.test
    every = torch.cat(candidates(race, "test", count, seed))
    logits = Scorer.load(race, 1)(Gallery(every, race.evidence, race.machine.device))
    keys = with_noise(Importance(1.0, 0.0, race.resampling.cap).log(logits), stream_of_draws(seed, "test"))
    assert torch.equal(load_bank(race, 1).test, every[largest(keys, count)])


def test_judges_learn_from_fakes_that_are_drawn_as_those_that_test_them(race: Race):
    forge(race, 1)
    bank = load_bank(race, 1)
    (fakes,) = fakes_of_judges(race, bank, 1, [0])
    seed = race.seed_of("forge", player="judge=0")
    counts = {"train": race.bank.train, "validation": race.bank.validation}
    assert torch.equal(fakes.train, forge_banks(race, 1, counts, seed)["train"])
    assert known(fakes.train) <= known(torch.cat(candidates(race, "train", race.bank.train, seed)))
    assert not known(fakes.train) & known(bank.test)


def test_the_scorer_learns_from_reals_of_the_loop_and_from_no_candidate(race: Race, monkeypatch: pytest.MonkeyPatch):
    seen: list[torch.Tensor] = []
    beside = LoopReals.of

    def train(groups, gallery, **_: object) -> int:
        seen.append(gallery.seen)
        raise InterruptedError

    monkeypatch.setattr("arena.race.phases.detectors.train_battery", train)
    with pytest.raises(InterruptedError):
        forge(race, 1)
    reals = beside(race)
    count = len(reals.train)
    assert known(seen[0][:count]) == known(race.evidence.seen(reals.train.images))
    validation = seen[0][count + race.bank.train :][: len(reals.validation)]
    assert known(validation) == known(race.evidence.seen(reals.validation.images))
    fakes = seen[0][count:][: race.bank.train]
    for name, images in race.bank.counts.items():
        assert not known(fakes) & known(torch.cat(candidates(race, name, images, race.seed_of("forge"))))


def test_the_control_resamples_by_as_many_random_critics_and_no_technique(run: Path):
    """Critics in the place of the members that the attack may train detectors of, each behind filters of its own."""
    live = ("pool=live", "objective=relative")
    attack = tiny_arena(run.with_name("attack"), *RESAMPLED, *live, "access=everything", "access.held_out=[cnn]")
    control = untrained(tiny_arena(run, *RESAMPLED, *live, "access=random", "access.held_out=[cnn]"))
    assert list(control.probing.members) == list(attack.probing.members) == ["dct", "spectrum", "forest"]
    records = [record for record in forge(control, 1).records if isinstance(record, ResamplingRecord)]
    assert {record.technique for record in records} == {"dct", "spectrum", "forest", STACK}
    scorer = Scorer.load(control, 1)
    assert all(isinstance(each, RandomCritic) for each in scorer.detectors.values())
    filters = {dict(each.named_buffers())["network.filters"].numpy().tobytes() for each in scorer.detectors.values()}
    assert len(filters) == len(scorer.detectors)
    assert load_bank(control, 1).test.shape == (control.bank.test, 1, 8, 8)


def test_a_shrink_of_0_leaves_the_fakes_as_they_come(run: Path):
    race = untrained(tiny_arena(run, *RESAMPLED, "resampling.shrinks=[0]", "access.held_out=[cnn]"))
    assert forge(race, 1).records
    assert torch.equal(load_bank(race, 1).test, candidates(race, "test", race.bank.test, race.seed_of("forge"))[0])


@pytest.mark.parametrize(
    ("round_index", "overrides"),
    [
        (0, RESAMPLED),
        (1, ()),
        (1, (*RESAMPLED, "access=none")),
        (1, (*RESAMPLED, "access=equal_norm")),
    ],
)
def test_fakes_are_forged_as_they_come_before_a_response_and_without_detectors_of_its_own(
    run: Path, round_index: int, overrides: tuple[str, ...]
):
    race = untrained(tiny_arena(run, *overrides))
    assert forge(race, round_index).records == []
    forged = load_generator(race, round_index).forge(race.bank.counts, race.seed_of("forge"), race.generator_reals)
    assert torch.equal(load_bank(race, round_index).test, Bank.of(forged, race.data.levels).test)
