import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.errors import ArenaError
from arena.data.split import FEWEST, SHARES, Purpose, folds, partition, sources_of, split_reals


def parts(split):
    return [getattr(split, name) for name in SHARES["train"]]


@given(n=st.integers(350, 3000), seed=st.integers(0, 2**40), locked=st.floats(0, 0.5))
@settings(max_examples=40, deadline=None)
def test_parts_are_disjoint_exhaustive_and_large_enough(n, seed, locked):
    split = split_reals(n, seed, locked=locked)
    assert sorted(np.concatenate([*parts(split), split.locked])) == list(range(n))
    assert abs(len(split.locked) - locked * n) <= 1
    for name, share in SHARES["train"].items():
        part = getattr(split, name)
        assert len(part) >= FEWEST[name]
        assert abs(len(part) - share * (n - len(split.locked))) <= 1
        assert len(set(part)) == len(part)


def test_the_shares_of_every_purpose_add_up_to_all_reals():
    for shares in SHARES.values():
        assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize("purpose", ["train", "control", "outside"])
def test_no_data_seed_and_no_purpose_opens_the_locked_part(purpose: Purpose):
    locked = set(split_reals(900, 0, locked=0.2).locked)
    assert len(locked) == 180
    for seed in range(5):
        split = split_reals(900, seed, locked=0.2, purpose=purpose)
        assert set(split.locked) == locked
        assert locked.isdisjoint(np.concatenate([split.generator, split.detector, split.judge, split.reference]))


@given(persons=st.lists(st.integers(0, 60), min_size=800, max_size=900), seed=st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_no_person_is_in_the_locked_part_and_in_another(persons, seed):
    persons = np.array(persons)
    try:
        split = split_reals(len(persons), seed, persons, locked=0.2)
    except ArenaError:  # a few persons with very many images
        return
    assert set(persons[split.locked]).isdisjoint(persons[np.concatenate(parts(split))])


def test_only_the_data_seed_decides():
    again = [split_reals(400, 3) for _ in range(2)]
    other = split_reals(400, 4)
    for one, two in zip(*map(parts, again), strict=True):
        assert np.array_equal(one, two)
    assert not np.array_equal(again[0].judge, other.judge)


def test_parts_are_drawn_at_random():
    judged = np.concatenate([split_reals(500, seed).judge for seed in range(60)])
    counts = np.bincount(judged, minlength=500)
    assert counts.min() > 0
    # Binomial with 60 draws of 0.42: 25 on average; first and last files are no likelier than others.
    assert abs(counts[:50].mean() - 25.2) < 2
    assert abs(counts[-50:].mean() - 25.2) < 2


@given(persons=st.lists(st.integers(0, 60), min_size=600, max_size=900), seed=st.integers(0, 100))
@settings(max_examples=25, deadline=None)
def test_no_person_is_in_two_parts(persons, seed):
    persons = np.array(persons) * 1_000_003 - 5  # persons may have any numbers
    try:
        split = split_reals(len(persons), seed, persons)
    except ArenaError:  # a few persons with very many images
        return
    shown = [set(persons[part]) for part in parts(split)]
    assert sum(map(len, shown)) == len(set(persons))
    assert sum(map(len, parts(split))) == len(persons)


def test_ten_images_of_each_of_forty_people():
    split = split_reals(400, 0, np.repeat(np.arange(40), 10))
    assert [len(part) for part in parts(split)] == [120, 50, 170, 60]


@pytest.mark.parametrize(
    ("purpose", "n", "persons", "locked", "message"),
    [
        ("train", 171, None, 0.0, "171 usable images, .* at least 172"),
        ("train", 200, None, 0.2, "160 usable images beside 40 locked ones, .* at least 172"),
        ("train", 200, np.repeat([4, 9], 100), 0.0, "0 of 200 usable images .* at least 24: 2 persons"),
        ("outside", 137, None, 0.0, "137 usable images.* at least 138"),
    ],
)
def test_too_few_images_or_persons_name_both_numbers(purpose, n, persons, locked, message):
    with pytest.raises(ArenaError, match=message):
        split_reals(n, 0, persons, locked, purpose)


def test_the_first_images_of_a_part_are_a_sample_of_it():
    """Files may be sorted by class: the first n of a part must not be the first class alone."""
    for part in parts(split_reals(10_000, 0)):
        assert abs(part[:100].mean() - 5000) < 4 * 10_000 / 12**0.5 / 10


@given(persons=st.lists(st.integers(-3, 20), min_size=1, max_size=200), k=st.integers(1, 5), seed=st.integers(0, 2**40))
@settings(max_examples=30, deadline=None)
def test_a_partition_keeps_sources_whole(persons, k, seed):
    sources = sources_of(len(persons), np.array(persons))
    part = partition(sources, np.arange(1, k) * len(persons) / k, np.random.default_rng(seed))
    assert len({*zip(persons, part.tolist(), strict=True)}) == len(set(persons))
    assert set(part) <= set(range(k))


def test_the_first_part_is_drawn_at_random():
    drawn = [partition(sources_of(20, None), np.array([5]), np.random.default_rng(seed)) for seed in range(400)]
    assert all((part == 0).sum() == 5 for part in drawn)
    # Binomial with 400 draws of 1/4: 100 each, four deviations are 35.
    assert (abs((np.array(drawn) == 0).sum(0) - 100) < 35).all()


@given(n=st.integers(10, 500), k=st.integers(2, 10), seed=st.integers(0, 2**40))
@settings(max_examples=30, deadline=None)
def test_folds_are_of_nearly_equal_size(n, k, seed):
    fold = folds(np.arange(n), k, seed)
    sizes = np.bincount(fold, minlength=k)
    assert len(sizes) == k
    assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(fold, folds(np.arange(n), k, seed))


@given(n=st.integers(138, 2000), seed=st.integers(0, 2**40))
@settings(max_examples=30, deadline=None)
def test_fakes_made_outside_need_no_reals_for_a_generator(n, seed):
    split = split_reals(n, seed, purpose="outside")
    assert sorted(np.concatenate([split.detector, split.judge])) == list(range(n))
    assert abs(len(split.judge) - 0.7 * n) <= 1
    assert set(split.reference) < set(split.judge)
    assert len(split.reference) >= FEWEST["reference"]
    assert abs(len(split.reference) - len(split.judge) / 2) <= 1
    assert len(split.detector) >= FEWEST["detector"]
    assert sorted(split.generator) == sorted(split.detector)


def test_beside_fakes_made_outside_no_person_trains_and_tests():
    persons = np.repeat(np.arange(40), 10)
    split = split_reals(400, 0, persons, purpose="outside")
    assert not set(persons[split.detector]) & set(persons[split.judge])
