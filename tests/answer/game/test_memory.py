import numpy as np
import pytest

from arena.answer.game.structure import memory
from tests.answer.game.games import hand_made

PAYOFFS = np.array([[0.90, 0.80, 0.60], [0.30, 0.95, 0.70], [0.50, 0.40, 0.85]])


def test_by_hand():
    first, second = memory(hand_made(PAYOFFS, error=0.01))
    assert (first.round, second.round) == (1, 2)
    assert first.evasion.value == pytest.approx(0.90 - 0.30)
    assert first.recovery.value == pytest.approx(0.95 - 0.30)
    assert first.forgetting.value == pytest.approx(0.90 - 0.80)
    assert first.generator_memory.value == pytest.approx(0.30)
    assert second.evasion.value == pytest.approx(0.95 - 0.40)
    assert second.recovery.value == pytest.approx(0.85 - 0.40)
    assert second.forgetting.value == pytest.approx(((0.90 - 0.60) + (0.95 - 0.70)) / 2)
    assert second.generator_memory.value == pytest.approx((0.50 + 0.40) / 2)


def test_errors_of_independent_cells_add_up():
    _, second = memory(hand_made(PAYOFFS, error=0.01))
    reach = 1.959964 * 0.01
    assert second.evasion.high - second.evasion.value == pytest.approx(reach * np.sqrt(2), rel=1e-5)
    # (P00 - P02 + P11 - P12) / 2: four cells of weight 1/2.
    assert second.forgetting.high - second.forgetting.value == pytest.approx(reach, rel=1e-5)
    assert second.generator_memory.value - second.generator_memory.low == pytest.approx(reach / np.sqrt(2), rel=1e-5)


def test_intervals_end_where_an_auc_ends():
    (only,) = memory(hand_made([[1.0, 1.0], [0.0, 1.0]], error=0.1))
    assert only.generator_memory.low == 0.0
    assert (only.evasion.high, only.recovery.high) == (1.0, 1.0)
    assert only.forgetting.low < 0.0 < only.forgetting.high


def test_one_round_remembers_nothing():
    assert memory(hand_made([[0.7]])) == ()
