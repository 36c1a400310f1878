from collections import Counter

import pytest
import torch

from arena.core.errors import ArenaError
from arena.training.attack import Member, Pool

TECHNIQUES = ["cnn", "dct"]


def test_all_remembers_every_round_and_last_only_its_own():
    everyone = Pool("all", sample=3).members(TECHNIQUES, 2)
    assert set(everyone) == {Member(technique, round_index) for technique in TECHNIQUES for round_index in (0, 1, 2)}
    assert len(everyone) == 6
    assert set(Pool("last", sample=3).members(TECHNIQUES, 2)) == {Member("cnn", 2), Member("dct", 2)}
    assert Pool("all", 1).members(TECHNIQUES, 0) == Pool("last", 1).members(TECHNIQUES, 0)
    assert Pool("all", 1).members([], 3) == []


@pytest.mark.parametrize(("sample", "drawn"), [(1, 1), (3, 3), (6, 6), (50, 6)])
def test_a_draw_is_of_distinct_members_as_many_as_asked_or_all(sample, drawn):
    members = Pool("all", sample).members(TECHNIQUES, 2)
    draw = Pool("all", sample).draw(members, torch.Generator().manual_seed(0))
    assert len(draw) == len(set(draw)) == drawn
    assert set(draw) <= set(members)


def test_every_member_is_drawn_as_often_as_any_other():
    pool, rng = Pool("all", 2), torch.Generator().manual_seed(0)
    members = pool.members(TECHNIQUES, 3)
    counts = Counter(member for _ in range(2000) for member in pool.draw(members, rng))
    # 500 each; five binomial deviations are 97.
    assert all(abs(counts[member] - 500) < 97 for member in members)


def test_a_draw_hangs_on_its_stream_alone():
    pool = Pool("all", 3)
    members = pool.members(TECHNIQUES, 4)
    draws = []
    for noise in (0, 1):
        torch.manual_seed(noise)
        rng = torch.Generator().manual_seed(5)
        draws.append([pool.draw(members, rng) for _ in range(5)])
    assert draws[0] == draws[1]


@pytest.mark.parametrize("wrong", [{"sample": 0}, {"memory": "some"}], ids=str)
def test_an_impossible_value_names_its_key(wrong):
    (key,) = wrong
    with pytest.raises(ArenaError, match=f"pool.{key}={wrong[key]}"):
        Pool(**({"memory": "all", "sample": 1} | wrong))
