import numpy as np
import pytest
from scipy.stats import binom

from arena.metrics.neighbours import memorisation


def test_null_is_one_half_and_covered():
    """A generator of the reals' own law: 95% intervals hold 1/2, though fakes share few reals (here 4 fakes a real)."""
    rng = np.random.default_rng(0)
    covered, shares, repeats = 0, [], 120
    for repeat in range(repeats):
        fake, train, reference = rng.normal(size=(200, 2)), *rng.normal(size=(2, 25, 2))
        found = memorisation(fake, train, reference, repeat)
        covered += found.low <= 0.5 <= found.high
        shares.append(found.share)
    assert np.mean(shares) == pytest.approx(0.5, abs=4 * np.std(shares) / np.sqrt(repeats))
    assert covered >= binom.ppf(0.001, repeats, 0.95)


def test_copies_are_memorised():
    rng = np.random.default_rng(1)
    train, reference = rng.normal(size=(2, 300, 8))
    found = memorisation(train[:200] + 1e-3, train, reference, 0)
    assert found.share == 1.0
    assert found.low > 0.95


def test_copies_of_the_reference_are_not():
    rng = np.random.default_rng(2)
    train, reference = rng.normal(size=(2, 300, 8))
    assert memorisation(reference, train, reference, 0).share == 0.0


def test_collapse_onto_one_image_proves_nothing():
    """A thousand fakes with one nearest real are one observation."""
    rng = np.random.default_rng(3)
    train, reference = rng.normal(size=(2, 100, 4))
    found = memorisation(np.repeat(train[:1], 1000, axis=0), train, reference, 0)
    assert found.share == 1.0
    assert found.low < 0.3


def test_ties_count_half():
    same = np.random.default_rng(4).integers(0, 17, size=(50, 64)) / 8 - 1
    found = memorisation(np.repeat(same, 3, axis=0), same, same, 0)
    assert found.share == 0.5


def test_the_larger_set_has_no_advantage():
    rng = np.random.default_rng(5)
    shares = [
        memorisation(rng.normal(size=(300, 3)), rng.normal(size=(400, 3)), rng.normal(size=(100, 3)), seed).share
        for seed in range(30)
    ]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)


def test_seed_decides():
    rng = np.random.default_rng(6)
    fake, train, reference = rng.normal(size=(100, 3)), rng.normal(size=(90, 3)), rng.normal(size=(30, 3))
    assert memorisation(fake, train, reference, 0) == memorisation(fake, train, reference, 0)
    assert memorisation(fake, train, reference, 0) != memorisation(fake, train, reference, 1)


@pytest.mark.parametrize("shapes", [((3, 2), (3, 3), (3, 2)), ((3, 2), (0, 2), (3, 2))])
def test_bad_features(shapes):
    with pytest.raises(ValueError, match="expected"):
        memorisation(*(np.zeros(shape) for shape in shapes), seed=0)
