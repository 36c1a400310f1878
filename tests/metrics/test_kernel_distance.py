import numpy as np
import pytest

from arena.metrics import kernel_distance as module
from arena.metrics.kernel_distance import kernel_distance


def brute_force(x, y):
    xx, yy, xy = ((a @ b.T / x.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    n, m = len(x), len(y)
    return (xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean()


def test_against_brute_force(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(37, 5)), rng.normal(0.4, 1.2, size=(23, 5))
    monkeypatch.setattr(module, "BLOCK", 8)
    assert kernel_distance(x, y).value == pytest.approx(brute_force(x, y), rel=1e-9)
    assert kernel_distance(x.astype(np.float32), y.astype(np.float32)).value == pytest.approx(
        brute_force(x, y), rel=1e-4
    )


@pytest.mark.parametrize("shift", [0.0, 0.8])
def test_unbiased_on_gaussians(shift):
    """x ~ N(0, 1), y ~ N(s, 1) in one dimension: E k(x, x') = sum_j C(3, j) E[x^j]^2, in closed form.

    The moments of N(s, 1) are 1, s, s^2 + 1, s^3 + 3s, so MMD^2 = 3 s^2 + 3 s^4 + (s^3 + 3 s)^2.
    """
    truth = 3 * shift**2 + 3 * shift**4 + (shift**3 + 3 * shift) ** 2
    rng = np.random.default_rng(1)
    distances = [kernel_distance(rng.normal(size=(80, 1)), rng.normal(shift, 1, size=(60, 1))) for _ in range(400)]
    values = np.array([each.value for each in distances])
    assert abs(values.mean() - truth) < 4 * values.std() / 20
    claimed = np.sqrt(np.mean([each.error**2 for each in distances]))
    assert 0.8 < claimed / values.std() < 2.5  # no smaller than the truth; larger where the distributions are equal


def test_equal_sets_are_at_most_at_zero():
    x = np.random.default_rng(2).normal(size=(50, 4))
    assert kernel_distance(x, x).value <= 0


@pytest.mark.parametrize(("x", "y"), [((3, 2), (3, 3)), ((1, 2), (3, 2)), ((3,), (3,))])
def test_bad_samples(x, y):
    with pytest.raises(ValueError, match="expected two samples"):
        kernel_distance(np.zeros(x), np.zeros(y))
