import numpy as np
import pytest
import torch
from PIL import Image

from arena.generators.controls import Oracle
from arena.race.case import Case, cut_fold, fakes_of_judges, labelled, redealt
from arena.race.checkpoints import Bank, load_bank
from arena.race.judging import scores_of
from arena.race.race import Race
from tests.building import tiny_arena


@pytest.fixture
def outside(run) -> Race:
    """A race on digits and a folder of 90 fakes."""
    (run.parent / "fakes").mkdir()
    rng = np.random.default_rng(0)
    for k in range(90):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(run.parent / "fakes" / f"{k:02d}.png")
    folder = f"generator.path={run.parent / 'fakes'}"
    banks = ("bank.train=10", "bank.validation=20", "bank.test=60", "bank.cell=20")
    return tiny_arena(run, "race.rounds=0", "access=none", folder, *banks, generator="folder")


def case_of(race: Race) -> Case:
    forged = race.new_generator().forge(race.bank.counts, 0, race.generator_reals)
    bank = Bank.of(forged, race.data.levels)
    return Case.of(race, bank.test, redealt(race, bank, range(race.judge.seeds)), 0)


def finished_case(race: Race) -> Case:
    bank = load_bank(race, 1)
    return Case.of(race, bank.test, fakes_of_judges(race, bank, 1, range(race.judge.seeds)), 1)


def test_places_point_to_the_images_of_their_part(finished: Race):
    bank, case = load_bank(finished, 1), finished_case(finished)
    parts = [(np.arange(case.n_test_reals), finished.judge_reals.images)]
    for judge_seed, fakes in enumerate(fakes_of_judges(finished, bank, 1, range(3))):
        parts += zip(case.fake_places(judge_seed), [*fakes, bank.test], strict=True)
    for places, images in parts:
        assert torch.equal(case.gallery.seen[torch.from_numpy(places)], finished.evidence.seen(images))
    _, validation, test = case.fake_places(0)
    assert case.ids_of(test[[0, 5]]).tolist() == [0, 5]
    assert set(case.ids_of(validation)).isdisjoint(case.ids_of(test))


def test_every_judge_seed_draws_fakes_of_its_own_and_all_share_the_test(finished: Race):
    bank = load_bank(finished, 1)
    drawn = fakes_of_judges(finished, bank, 1, range(3))
    assert len(drawn) == finished.judge.seeds
    shown = [{image.numpy().tobytes() for part in fakes for image in part} for fakes in drawn]
    together = set.union(*shown)
    assert len(together) == sum(map(len, shown))
    assert together.isdisjoint(image.numpy().tobytes() for image in bank.test)
    twice = fakes_of_judges(finished, bank, 1, range(3), multiple=2)
    assert len(twice[0].train) == 2 * len(drawn[0].train)
    assert len(twice[0].validation) == len(drawn[0].validation)


def test_every_judge_seed_has_folds_of_its_own(finished: Race):
    case = finished_case(finished)
    first, second = (cut_fold(finished, case, judge_seed, 0, share=1.0) for judge_seed in (0, 1))
    assert set(first.test[0]) != set(second.test[0])
    assert set(first.test[1]) != set(second.test[1])


def test_judges_of_a_trained_generator_learn_from_no_test_fake(finished: Race):
    case = finished_case(finished)
    for judge_seed in range(finished.judge.seeds):
        for number in range(finished.judge.folds):
            fold = cut_fold(finished, case, judge_seed, number, share=1.0)
            assert set(fold.learn[1]) == set(case.fake_places(judge_seed)[0])
            assert set(fold.learn[0]) | set(fold.stop[0]) <= set(range(case.n_test_reals))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_judges_of_fakes_made_outside_learn_from_the_other_folds(outside: Race, share: float):
    """Every real and every fake is tested once, by judges that neither learned from it nor stopped on it."""
    case, tested = case_of(outside), []
    train_fakes, _, test_fakes = case.fake_places(0)
    assert case.crossed
    assert len(case.reals) == len(outside.judge_reals) + len(outside.data.part("detector"))
    for number in range(outside.judge.folds):
        fold = cut_fold(outside, case, 0, number, share)
        used = {*fold.learn[0], *fold.learn[1], *fold.stop[0], *fold.stop[1]}
        here = [*fold.test[0], *fold.test[1]]
        assert not used & set(here)
        assert len(fold.learn[1]) == round(share * (10 + 30))
        assert set(fold.learn[1]) <= {*train_fakes, *test_fakes}
        tested += here
    assert sorted(tested) == [*range(case.n_test_reals), *test_fakes]


def test_scores_hold_the_ids_of_their_images(finished: Race):
    reals = finished.judge_reals[np.array([3, 1])]
    scores = scores_of(torch.tensor([0.5, 1.0, 2.0]), reals, np.array([7]), fold=1)
    assert scores.label.tolist() == [0, 0, 1]
    assert scores.image.tolist() == [*reals.ids.tolist(), 7]
    assert set(scores.fold.tolist()) == {1}


def test_labels_are_in_the_order_of_their_places():
    which, labels = labelled(np.array([4, 2]), np.array([9]))
    assert which.tolist() == [4, 2, 9]
    assert labels.tolist() == [0, 0, 1]


def test_the_judges_of_a_control_do_not_learn_from_its_images_as_reals(outside: Race):
    """The oracle's fakes are the detectors' reals. A judge that learned these as reals would be below chance."""
    forged = Oracle(**outside.shape).forge(outside.bank.counts, 0, outside.generator_reals)
    bank = Bank.of(forged, outside.data.levels)
    case = Case.of(outside, bank.test, redealt(outside, bank, range(outside.judge.seeds)), 0, control=True)
    reals = {image.numpy().tobytes() for image in case.reals.images}
    assert {image.numpy().tobytes() for part in bank for image in part}.isdisjoint(reals)
    assert len(case.reals) == len(outside.judge_reals)
