import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.training.objectives import Fool, Match, Relative

REALS = torch.zeros(5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(logits=st.lists(st.floats(-30, 30), min_size=1, max_size=6), weight=st.floats(0.01, 10))
@settings(max_examples=40, deadline=None)
def test_fool_is_the_mean_cross_entropy_of_the_label_real(logits, weight):
    # -log(1 - sigmoid(x)) = log(1 + e^x)
    expected = weight * sum(math.log1p(math.exp(x)) for x in logits) / len(logits)
    loss = Fool(weight=weight)(torch.tensor(logits, dtype=torch.float64), REALS)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_fool_has_the_gradient_of_the_cross_entropy():
    logits = torch.zeros(4, requires_grad=True)
    (gradient,) = torch.autograd.grad(Fool(weight=1.0)(logits, REALS), logits)
    torch.testing.assert_close(gradient, torch.full((4,), 0.5 / 4))  # sigmoid(0) over four logits


def test_match_is_zero_for_equal_logits_alone():
    reals = torch.tensor([5.0, 6.0, 8.0, 9.0])
    match = Match(weight=1.0)
    assert float(match(reals, reals)) == pytest.approx(0.0, abs=1e-12)
    for other in (reals + 0.5, reals - 0.5, reals * 2, reals * 0.5):
        assert float(match(other, reals)) > 0.01


@pytest.mark.parametrize(
    ("objective", "low", "high"),
    [(Match(weight=1.0), 0.47, 0.53), (Fool(weight=1.0), 0, 0.05), (Relative(weight=1.0), 0, 0.05)],
)
def test_match_aims_at_auc_one_half_and_the_others_at_zero(objective, low, high):
    reals = torch.randn(500, generator=rng(0))
    fakes = torch.randn(500, generator=rng(1)).add(3).requires_grad_()
    descent = torch.optim.Adam([fakes], lr=0.05)
    for _ in range(400):
        descent.zero_grad()
        objective(fakes, reals).backward()
        descent.step()
    assert low <= float((fakes > reals[:, None]).float().mean()) <= high


def test_relative_depends_on_the_difference_of_fakes_and_reals_alone():
    fakes, reals = torch.randn(6, generator=rng(0)), torch.randn(4, generator=rng(1))
    relative = Relative(weight=1.0)
    torch.testing.assert_close(relative(fakes + 9, reals + 9), relative(fakes, reals))
    assert float(relative(fakes + 1, reals)) > float(relative(fakes, reals))
