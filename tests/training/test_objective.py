import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.errors import ArenaError
from arena.training.attack import Fool, Match

REALS = torch.zeros(1, 5)


@given(logits=st.lists(st.floats(-30, 30), min_size=1, max_size=6), weight=st.floats(0.01, 10))
@settings(max_examples=40, deadline=None)
def test_it_is_the_mean_cross_entropy_of_calling_the_fakes_real(logits, weight):
    # -log(1 - sigmoid(x)) = log(1 + e^x)
    expected = weight * sum(math.log1p(math.exp(x)) for x in logits) / len(logits)
    loss = Fool(weight=weight)(torch.tensor([logits], dtype=torch.float64), REALS)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_a_fake_that_looks_more_real_costs_less():
    fool = Fool(weight=1.0)
    losses = [float(fool(torch.tensor([[x]]), REALS)) for x in (-8.0, -1.0, 0.0, 1.0, 8.0)]
    assert losses == sorted(losses)
    assert losses[2] == pytest.approx(math.log(2))
    logits = torch.zeros(3, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(fool(logits, REALS), logits)
    torch.testing.assert_close(gradient, torch.full((3, 4), 0.5 / 12))  # sigmoid(0) over twelve logits


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_an_impossible_weight_names_its_key(weight):
    with pytest.raises(ArenaError, match=f"objective.weight={weight}"):
        Fool(weight=weight)


def test_match_is_zero_where_the_logits_are_alike_and_only_there():
    reals = torch.tensor([[-1.0, 0.0, 1.0, 2.0], [5.0, 6.0, 8.0, 9.0]])
    match = Match(weight=1.0)
    assert float(match(reals, reals)) == pytest.approx(0.0, abs=1e-12)
    for other in (reals + 0.5, reals - 0.5, reals * 2, reals * 0.5):
        assert float(match(other, reals)) > 0.01


def test_match_aims_at_one_half_where_fool_aims_at_zero():
    """Descending on the logits themselves: matched ones end among the reals', fooling ones far below them."""
    reals = torch.randn(1, 500, generator=torch.Generator().manual_seed(0))
    ends = {}
    for objective in (Match(weight=1.0), Fool(weight=1.0)):
        fakes = torch.randn(1, 500, generator=torch.Generator().manual_seed(1)).add(3).requires_grad_()
        descent = torch.optim.Adam([fakes], lr=0.05)
        for _ in range(400):
            descent.zero_grad()
            objective(fakes, reals).backward()
            descent.step()
        ends[type(objective).__name__] = float((fakes > reals.T).float().mean())  # AUC
    assert ends["Match"] == pytest.approx(0.5, abs=0.03)
    assert ends["Fool"] < 0.05
