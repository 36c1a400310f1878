"""Weightings of techniques, against closed forms and limits."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from arena.training.opponents.weighting import Hedge, Hypervolume, Softmax, Uniform, Weighting

AUCS = st.lists(st.floats(0.3, 1.0), min_size=2, max_size=8)
EVERY = (Uniform(), Softmax(10.0), Hypervolume(1.1), Hedge(0.5))


def weights(weighting: Weighting, aucs: list[float], gains: list[float] | None = None) -> torch.Tensor:
    found = weighting(torch.tensor(aucs), torch.tensor(aucs if gains is None else gains) - 0.5)
    return found / found.sum()


@pytest.mark.parametrize("weighting", EVERY)
@given(aucs=AUCS)
def test_weights_are_positive_and_a_stronger_technique_never_weighs_less(weighting: Weighting, aucs: list[float]):
    found = weights(weighting, aucs)
    order = sorted(range(len(aucs)), key=aucs.__getitem__)
    assert (found > 0).all()
    assert (found[order].diff() >= -1e-6).all()


@pytest.mark.parametrize("weighting", EVERY)
def test_equal_techniques_weigh_equally(weighting: Weighting):
    torch.testing.assert_close(weights(weighting, [0.7] * 4), torch.full((4,), 0.25))


def test_closed_forms():
    aucs = [0.6, 0.9]
    ratio = weights(Softmax(10.0), aucs)
    assert float(ratio[1] / ratio[0]) == pytest.approx(torch.tensor(3.0).exp().item(), rel=1e-4)
    ratio = weights(Hypervolume(1.1), aucs)  # bound 0.99
    assert float(ratio[1] / ratio[0]) == pytest.approx(0.39 / 0.09, rel=1e-3)
    ratio = weights(Hedge(2.0), aucs, gains=[0.5, 1.0])
    assert float(ratio[1] / ratio[0]) == pytest.approx(torch.tensor(1.0).exp().item(), rel=1e-4)


def test_hedge_never_forgets_a_technique():
    assert float(weights(Hedge(1.0), [0.5, 0.5], gains=[0.0, 200.0])[0]) > 0.02
