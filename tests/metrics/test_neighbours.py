import numpy as np
import pytest
from sklearn import config_context

from arena.metrics.neighbours import precision_recall


def brute_force(real, fake, k):
    """The definitions of Naeem et al. (2020), equations 2 to 7, from full distance matrices."""
    within_real, within_fake, across = (
        np.sqrt(((a[:, None] - b) ** 2).sum(-1)) for a, b in ((real, real), (fake, fake), (real, fake))
    )
    of_real, of_fake = (np.sort(within, axis=1)[:, k] for within in (within_real, within_fake))
    in_real, in_fake = across <= of_real[:, None], across <= of_fake
    return in_real.any(0).mean(), in_fake.any(1).mean(), in_real.sum(0).mean() / k, in_real.any(1).mean()


@pytest.mark.parametrize("k", [1, 5])
def test_against_brute_force(k):
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(90, 6)), rng.normal(0.5, 0.8, size=(70, 6))
    assert precision_recall(real, fake, k) == pytest.approx(brute_force(real, fake, k))


def test_chunks_do_not_matter():
    rng = np.random.default_rng(1)
    real, fake = rng.normal(size=(3000, 4)), rng.normal(0.3, 1, size=(400, 4))
    whole = precision_recall(real, fake)
    with config_context(working_memory=1):
        assert precision_recall(real, fake) == whole


def test_collapse_is_precise_and_has_no_recall():
    """Convention: fakes in one of ten modes are like some reals, and not like all."""
    rng = np.random.default_rng(2)
    centres = 20 * np.eye(10)
    real = centres[rng.integers(10, size=500)] + rng.normal(size=(500, 10))
    result = precision_recall(real, centres[0] + rng.normal(size=(500, 10)))
    assert result.precision > 0.8
    assert result.recall < 0.2
    assert result.coverage < 0.2


def test_noise_has_no_precision():
    rng = np.random.default_rng(3)
    result = precision_recall(rng.normal(size=(300, 8)), 10 + 10 * rng.normal(size=(300, 8)))
    assert max(result.precision, result.density, result.coverage) < 0.05


def test_equal_distributions():
    rng = np.random.default_rng(4)
    result = precision_recall(*rng.normal(size=(2, 600, 3)))
    assert result.density == pytest.approx(1.0, abs=0.1)
    # Naeem et al. (2020), section 3.3: 1 - prod_i (n - i) / (2n - i) over i = 1 .. k, which tends to 1 - 2^-k
    assert result.coverage == pytest.approx(1 - 2**-5, abs=0.03)


def test_too_few_images():
    with pytest.raises(ValueError, match="more than k=5"):
        precision_recall(np.zeros((5, 2)), np.zeros((9, 2)))


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_against_the_authors_package(shift):
    """prdc 0.2 of Naeem et al. (2020), whose balls are open where ours are closed: no two distances are equal here."""
    prdc = pytest.importorskip("prdc")
    rng = np.random.default_rng(5)
    real, fake = rng.normal(size=(150, 8)), rng.normal(shift, 0.9, size=(120, 8))
    theirs = prdc.compute_prdc(real_features=real, fake_features=fake, nearest_k=5)
    ours = precision_recall(real, fake)
    assert ours._asdict() == pytest.approx(theirs)
