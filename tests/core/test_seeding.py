from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.seeding import derive_seed

# First 8 bytes, big-endian, of BLAKE2b: printf '0|forge|0|' | b2sum -l 64
GOLDEN = {
    (0, "forge", 0, ""): 0x3B8299824765219C,
    (7, "judge", 3, "cnn/fold=1"): 0x234C20EAFFA6AE0A,
}


@pytest.mark.parametrize(("parts", "digest"), GOLDEN.items())
def test_seeds_never_change(parts, digest):
    assert derive_seed(*parts) == digest >> 1


def test_streams_of_a_race_do_not_collide():
    grid = list(
        product(
            range(20), ("forge", "judge", "split", "respond"), range(12), ("", "cnn", "dct", "cnn/fold=1", "cnn/fold=2")
        )
    )
    assert len({derive_seed(*parts) for parts in grid}) == len(grid)


@given(
    seed=st.integers(0, 2**40),
    purpose=st.text("abc ", max_size=6),
    round_index=st.integers(0, 10**6),
    player=st.text("abc/=1", max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_each_part_matters(seed, purpose, round_index, player):
    here = derive_seed(seed, purpose, round_index, player)
    others = {
        derive_seed(seed + 1, purpose, round_index, player),
        derive_seed(seed, purpose + "x", round_index, player),
        derive_seed(seed, purpose, round_index + 1, player),
        derive_seed(seed, purpose, round_index, player + "x"),
    }
    assert here not in others
    assert len(others) == 4
    assert 0 <= here < 2**63
