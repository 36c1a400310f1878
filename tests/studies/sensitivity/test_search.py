import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arena.studies.sensitivity.search import CAUGHT, FINE, DetectionLimit, Search, sharpest_first


def searched(curves, largest=64, start=8):
    """A search against techniques whose AUC is a known function of the amplitude; and the amplitudes it tried."""
    search, asked = Search(list(curves), largest, start), []
    while (wish := search.next()) is not None:
        amplitude, techniques = wish
        asked.append(amplitude)
        search.record(amplitude, {name: curves[name](amplitude) for name in techniques})
        assert len(asked) < 100
    return search, asked


def curve(limit):
    """AUC that rises from 1/2 to 1 over the logarithm of the amplitude and is 0.75 at ``limit``."""
    return lambda amplitude: 0.5 + 0.5 / (1 + (limit / amplitude) ** 2)


@given(limit=st.floats(1.2, 60))
def test_the_limit_of_a_known_curve_is_found_to_a_third_of_an_octave(limit):
    search, _ = searched({"it": curve(limit)})
    found = search.limit("it")
    assert found.amplitude is not None
    assert found.above is not None
    assert found.below < limit <= found.above
    assert found.above - found.below <= 1 or found.above / found.below <= FINE
    assert abs(math.log2(found.amplitude / limit)) < 0.34


def test_all_techniques_share_what_is_tried():
    limits = {f"technique {k}": 2.0 + k for k in range(12)}
    _, together = searched({name: curve(limit) for name, limit in limits.items()})
    alone = [searched({name: curve(limit)})[1] for name, limit in limits.items()]
    assert len(together) == len(set(together))  # no amplitude is judged twice
    assert len(together) <= len({amplitude for tried in alone for amplitude in tried}) < sum(map(len, alone))


def test_who_catches_nothing_is_tried_up_to_the_largest():
    search, asked = searched({"blind": lambda _: 0.5})
    assert asked == [8, 16, 32, 64]
    assert search.limit("blind") == DetectionLimit(64, None, None)
    assert str(search.limit("blind")) == "> 64"


def test_who_catches_all_is_tried_down_to_one_grey_level():
    search, asked = searched({"sharp": lambda _: 1.0})
    assert asked[-1] == 1
    assert search.limit("sharp") == DetectionLimit(0, 1, 1.0)
    assert str(search.limit("sharp")) == "≤ 1"


def test_where_more_is_caught_less_the_limit_lies_above_the_last_miss():
    search, _ = searched({"odd": lambda amplitude: 0.6 if amplitude in (4, 5, 6, 7, 8, 9) else 0.9})
    found = search.limit("odd")
    assert found.below in (8, 9)
    assert found.above is not None
    assert found.above > 9


def test_the_auc_runs_straight_over_the_logarithm_between_two_amplitudes():
    search = Search(["it"], 64, 8)
    search.record(4, {"it": 0.65})
    search.record(16, {"it": 0.85})
    assert search.limit("it").amplitude == pytest.approx(8)
    assert CAUGHT == 0.75


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (DetectionLimit(4, 5, 4.44), "4.4"),
        (DetectionLimit(12, 15, 13.2), "13"),
        (DetectionLimit(64, None, None), "> 64"),
    ],
)
def test_a_limit_says_as_much_as_is_known(limit, said):
    assert str(limit) == said


def test_the_sharpest_technique_and_what_most_catch_come_first():
    none, sharp, dull = DetectionLimit(64, None, None), DetectionLimit(0, 1, 1.0), DetectionLimit(30, 37, 33.0)
    limits = {
        "blind": {"stripes": none, "checkerboard": none},
        "dull": {"stripes": none, "checkerboard": dull},
        "sharp": {"stripes": sharp, "checkerboard": sharp},
    }
    found = sharpest_first(limits, 64)
    assert list(found) == ["sharp", "dull", "blind"]
    assert [list(row) for row in found.values()] == [["checkerboard", "stripes"]] * 3
    assert found == limits
