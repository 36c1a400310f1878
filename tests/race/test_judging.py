import numpy as np
import pytest
import torch
from PIL import Image

from arena.generators.controls import Oracle
from arena.race.checkpoints import Bank, load_bank
from arena.race.judging import Case, cut_fold, labelled, scores_of
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
    return Case.of(race, Bank.of(forged, race.data.levels), 0)


def test_places_point_to_the_images_of_their_part(finished: Race):
    bank = load_bank(finished, 1)
    case = Case.of(finished, bank, 1)
    for places, images in (
        (np.arange(case.tested), finished.judge_reals.images),
        *zip(case.fakes, bank, strict=True),
    ):
        expected = finished.evidence.seen(images)
        assert torch.equal(case.gallery.seen[torch.from_numpy(places)], expected)
    _, validation, test = case.fakes
    assert case.ids_of(test[[0, 5]]).tolist() == [0, 5]
    assert case.ids_of(validation[[3]]).tolist() == [3]


def test_judges_of_a_trained_generator_learn_from_no_test_fake(finished: Race):
    case = Case.of(finished, load_bank(finished, 1), 1)
    for number in range(finished.judge.folds):
        fold = cut_fold(finished, case, number, share=1.0)
        assert set(fold.learn[1]) == set(case.fakes[0])
        assert set(fold.learn[0]) | set(fold.stop[0]) <= set(range(case.tested))


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_judges_of_fakes_made_outside_learn_from_the_other_folds(outside: Race, share: float):
    """Every real and every fake is tested once, by judges that neither learned from it nor stopped on it."""
    case, tested = case_of(outside), []
    train_fakes, _, test_fakes = case.fakes
    assert case.crossed
    assert len(case.reals) == len(outside.judge_reals) + len(outside.data.part("detector"))
    for number in range(outside.judge.folds):
        fold = cut_fold(outside, case, number, share)
        used = {*fold.learn[0], *fold.learn[1], *fold.stop[0], *fold.stop[1]}
        here = [*fold.test[0], *fold.test[1]]
        assert not used & set(here)
        assert len(fold.learn[1]) == round(share * (10 + 30))
        assert set(fold.learn[1]) <= {*train_fakes, *test_fakes}
        tested += here
    assert sorted(tested) == [*range(case.tested), *test_fakes]


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
    case = Case.of(outside, Bank.of(forged, outside.data.levels), 0, control=True)
    reals = {image.numpy().tobytes() for image in case.reals.images}
    assert {image.numpy().tobytes() for bank in case.bank for image in bank}.isdisjoint(reals)
    assert len(case.reals) == len(outside.judge_reals)
