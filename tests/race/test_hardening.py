"""Judges that learn from attacked images."""

import shutil
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console

from arena.core.errors import ArenaError
from arena.detectors.gallery import Gallery, score_all
from arena.generators.controls import Oracle
from arena.race.case import Case, cut_fold, fakes_of_judges
from arena.race.checkpoints import load_bank, load_battery
from arena.race.hardening import attack_of, attackers, spread
from arena.race.loop import algorithm, carry_out
from arena.race.phases.calibrate import calibrate
from arena.race.race import Race
from arena.records.schema import FitnessRecord, ScoreRecord
from arena.records.store import read_records, read_scores
from tests.building import FINISHED, arena_in, tiny_arena

ROUND, SEEDS = 1, range(3)


@pytest.fixture(scope="module")
def copied(finished: Race, tmp_path_factory: pytest.TempPathFactory) -> Race:
    """The finished race in a folder of its own, since hardened judges keep a network beside the detectors."""
    run = tmp_path_factory.mktemp("copied") / "run"
    shutil.copytree(finished.run, run)
    return replace(finished, run=run)


def hardened(race: Race, share: float, laundered: float = 0.5) -> Race:
    """The same race, whose judges are hardened."""
    keys = {"hardened": share, "hardened_levels": 2, "hardened_steps": 3, "hardened_laundered": laundered}
    return replace(race, judge=replace(race.judge, **keys))


def case_of(race: Race) -> Case:
    bank = load_bank(race, ROUND)
    return Case.of(race, bank.test, fakes_of_judges(race, bank, ROUND, SEEDS), ROUND)


def changed(one: Case, other: Case, places: np.ndarray) -> np.ndarray:
    """Which images at these places differ between two cases."""
    which = torch.from_numpy(places)
    return (one.gallery.seen[which] != other.gallery.seen[which]).flatten(1).any(1).numpy()


@given(st.integers(0, 300), st.floats(0, 1))
def test_every_first_part_has_the_share(count: int, share: float):
    chosen = spread(count, share)
    assert len(chosen) == count
    parts = np.arange(1, count + 1)
    assert np.all(np.abs(chosen.cumsum() - share * parts) <= 0.5 + 1e-9)


@pytest.mark.parametrize(("share", "laundered"), [(0.25, 0.0), (0.5, 1.0), (1.0, 0.5)])
def test_training_fakes_alone_are_attacked_in_place(copied: Race, share: float, laundered: float):
    plain, hard = case_of(copied), case_of(hardened(copied, share, laundered))
    assert len(hard.gallery) == len(plain.gallery)
    assert not changed(plain, hard, np.arange(len(plain.reals) + plain.n_test_fakes)).any()
    for judge_seed in SEEDS:
        train, validation, test = plain.fake_places(judge_seed)
        for places, same in zip((train, validation, test), hard.fake_places(judge_seed), strict=True):
            assert np.array_equal(places, same)
        for number in range(copied.judge.folds):
            folds = [cut_fold(copied, case, judge_seed, number, share=1.0) for case in (plain, hard)]
            for of_plain, of_hard in zip(*map(chain.from_iterable, folds), strict=True):
                assert np.array_equal(of_plain, of_hard)  # and so labels are as before
        assert not changed(plain, hard, validation).any()
        differ = changed(plain, hard, train)
        assert not np.any(differ & ~spread(len(train), share))
        assert differ.sum() > 0.8 * share * len(train)  # an image without a better neighbour stays
    levels = copied.data.levels - 1
    change = ((hard.gallery.seen.int() - plain.gallery.seen.int()).abs() * levels / 255).round()
    assert float(change.max()) == 2


def test_off_is_the_case_without_the_setting(copied: Race):
    off = replace(copied, judge=replace(copied.judge, hardened=0.0, hardened_levels=5, hardened_steps=50))
    assert torch.equal(case_of(copied).gallery.seen, case_of(off).gallery.seen)
    assert case_of(off).first_copy is None


@pytest.mark.parametrize("laundered", [0.0, 1.0])
def test_the_attack_lowers_the_logits_of_the_detectors_in_the_loop(copied: Race, laundered: float):
    """The fakes are of the test bank, from which the network that changes images has not learned."""
    race, images = hardened(copied, 1.0, laundered), load_bank(copied, ROUND).test
    detectors, _ = load_battery(race, ROUND)
    detectors = {name: detectors[name] for name in attackers(race)}
    assert "forest" not in detectors
    found = attack_of(race, ROUND)(images, "test")
    before, after = (
        torch.stack([*score_all(detectors, Gallery(each, race.evidence)).values()]) for each in (images, found)
    )
    assert float((after - before).mean()) < 0
    losses = [torch.nn.functional.softplus(logits).mean(0) for logits in (before, after)]
    assert losses[1].mean() < losses[0].mean()
    if not laundered:
        assert torch.all(losses[1] <= losses[0] + 1e-6)  # descent keeps the best of each image


def test_of_images_of_a_folder_the_test_fakes_of_other_folds_have_attacked_copies(run):
    folder = run.parent / "fakes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for k in range(90):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(folder / f"{k:02d}.png")
    banks = ("bank.train=10", "bank.validation=20", "bank.test=60", "bank.cell=20")
    keys = ("race.rounds=0", "access=none", f"generator.path={folder}", "judge.hardened=0.5", "judge.hardened_steps=2")
    race = tiny_arena(run, *keys, *banks, generator="folder")
    carry_out(race, Console(quiet=True))
    bank = load_bank(race, 0)
    case = Case.of(race, bank.test, fakes_of_judges(race, bank, 0, [0]), 0)
    assert case.crossed
    assert case.first_copy is not None
    assert len(case.gallery) == case.first_copy + 60
    for number in range(race.judge.folds):
        fold = cut_fold(race, case, 0, number, share=1.0)
        reals, learned = fold.learn
        copies = learned >= case.first_copy
        fakes = np.where(copies, learned - case.first_copy + len(case.reals), learned)
        assert not {*reals, *fakes} & {*fold.test[0], *fold.test[1]}
        assert np.all(reals < len(case.reals))
        assert copies.sum() == 15
        assert len(fakes) == len(set(fakes)) == 10 + 30


def test_without_a_detector_in_the_loop_it_is_refused_in_one_line(run):
    race = tiny_arena(run, "judge.hardened=0.5")
    bank = Oracle(**race.shape).forge(race.bank.counts, 0, race.generator_reals)
    assert len(bank["train"])
    with pytest.raises(ArenaError, match=r"^judge.hardened=0.5: expected 0 where no detector in the loop was trained$"):
        attack_of(race, 0)


@pytest.mark.slow
def test_the_generator_and_the_loop_do_not_depend_on_it(run, finished: Race):
    """The same race with hardened judges has the same banks, detectors in the loop, and test images."""
    race = tiny_arena(run, *FINISHED, "judge.hardened=0.5")
    carry_out(race, Console(quiet=True))
    for round_index in range(3):
        for one, other in zip(load_bank(finished, round_index), load_bank(race, round_index), strict=True):
            assert torch.equal(one, other)
        for technique in race.members:
            paths = [each.layout.detector(round_index, technique).read_bytes() for each in (finished, race)]
            assert paths[0] == paths[1]
    differ = 0
    for one, other in zip(_fresh(finished), _fresh(race), strict=True):
        scores = [read_scores(each.run, record.scores) for each, record in ((finished, one), (race, other))]
        assert np.array_equal(scores[0].image, scores[1].image)
        assert np.array_equal(scores[0].label, scores[1].label)
        differ += not np.array_equal(scores[0].score, scores[1].score)
    assert differ > 0


def _fresh(race: Race) -> list[ScoreRecord]:
    """Records of fresh judges, in a fixed order."""
    records = [each for each in read_records(race.run) if isinstance(each, ScoreRecord) and each.regime == "fresh"]
    return sorted(records, key=lambda each: (each.generator_round, each.technique, each.judge_seed))


@pytest.mark.slow
def test_hardened_judges_still_catch_planted_artefacts(run):
    """The judges of controls are hardened as well."""
    budgets = ("race.rounds=0", "judge.images=6000", "battery.images=640", "judge.degradations=[]", "judge.reals=null")
    banks = ("bank.train=512", "bank.validation=128", "bank.test=256", "battery.batch=64")
    keys = ("logger=none", "judge.hardened=0.5", "generator=planted", "access=none", *budgets, *banks)
    race = arena_in(run, "experiment=smoke", *keys)
    carry_out(race, Console(quiet=True))
    planted = [each for each in read_records(run) if isinstance(each, FitnessRecord) and each.artefact is not None]
    assert {each.technique for each in planted} >= set(race.members)
    assert all(each.auc_low > 0.5 + race.margin for each in planted), {each.technique: each.auc for each in planted}


def test_controls_are_judged_after_the_first_detectors_that_judges_attack(finished: Race):
    """Nothing else changes its place."""
    steps, usual = list(algorithm(hardened(finished, 0.5))), list(algorithm(finished))
    names = [step.phase.__name__ for step in steps]
    assert names.index("calibrate") == names.index("retrain") + 1
    assert sorted(steps, key=usual.index) == usual
    assert [step for step in steps if step.phase is not calibrate] == [s for s in usual if s.phase is not calibrate]
