import numpy as np
import pytest
from scipy.stats import binom, fisher_exact

from arena.metrics.memorisation import copied_at_most, exact_copies, memorisation, near_copies


def test_memorisation_is_one_half_without_copies():
    """Fakes of the reals' distribution: 95% intervals hold 1/2, even with 4 fakes per nearest real."""
    rng = np.random.default_rng(0)
    covered, shares, repeats = 0, [], 120
    for repeat in range(repeats):
        fake, train, reference = rng.normal(size=(200, 2)), *rng.normal(size=(2, 25, 2))
        result = memorisation(fake, train, reference, repeat)
        covered += result.low <= 0.5 <= result.high
        shares.append(result.value)
    assert np.mean(shares) == pytest.approx(0.5, abs=4 * np.std(shares) / np.sqrt(repeats))
    assert covered >= binom.ppf(0.001, repeats, 0.95)


def test_copies_are_memorised():
    rng = np.random.default_rng(1)
    train, reference = rng.normal(size=(2, 300, 8))
    result = memorisation(train[:200] + 1e-3, train, reference, 0)
    assert result.value == 1.0
    assert result.low > 0.95


def test_copies_of_the_reference_are_not():
    rng = np.random.default_rng(2)
    train, reference = rng.normal(size=(2, 300, 8))
    assert memorisation(reference, train, reference, 0).value == 0.0


def test_collapse_onto_one_training_image_proves_nothing():
    """A thousand fakes with one nearest real are one observation."""
    rng = np.random.default_rng(3)
    train, reference = rng.normal(size=(2, 100, 4))
    result = memorisation(np.repeat(train[:1], 1000, axis=0), train, reference, 0)
    assert result.value == 1.0
    assert result.low < 0.3


def test_ties_count_half():
    same = np.random.default_rng(4).integers(0, 17, size=(50, 64)) / 8 - 1
    result = memorisation(np.repeat(same, 3, axis=0), same, same, 0)
    assert result.value == 0.5


def test_the_larger_set_has_no_advantage():
    rng = np.random.default_rng(5)
    shares = [
        memorisation(rng.normal(size=(300, 3)), rng.normal(size=(400, 3)), rng.normal(size=(100, 3)), seed).value
        for seed in range(30)
    ]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.04)


def test_the_seed_of_memorisation_decides():
    rng = np.random.default_rng(6)
    fake, train, reference = rng.normal(size=(100, 3)), rng.normal(size=(90, 3)), rng.normal(size=(30, 3))
    assert memorisation(fake, train, reference, 0) == memorisation(fake, train, reference, 0)
    assert memorisation(fake, train, reference, 0) != memorisation(fake, train, reference, 1)


@pytest.mark.parametrize("shapes", [((3, 2), (3, 3), (3, 2)), ((3, 2), (0, 2), (3, 2))])
def test_features_that_do_not_match(shapes):
    with pytest.raises(ValueError, match="expected"):
        memorisation(*(np.zeros(shape) for shape in shapes), seed=0)


@pytest.mark.parametrize("copies", [0.2, 0.6])
def test_the_bound_on_the_copied_share_holds_where_the_training_set_is_subsampled(copies):
    """The share of copies lies below the bound in at least 97.5% of samples, since the interval is two-sided."""
    rng, repeats, held = np.random.default_rng(7), 60, 0
    for repeat in range(repeats):
        train, reference, fresh = rng.normal(size=(300, 4)), rng.normal(size=(100, 4)), rng.normal(size=(200, 4))
        count = int(copies * len(fresh))
        fresh[:count] = train[rng.permutation(len(train))[:count]]
        share = memorisation(fresh, train, reference, repeat)
        held += copies <= copied_at_most(share.high, len(train), len(reference)) + 1e-9
    assert held >= binom.ppf(0.01, repeats, 0.975)


@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_smooth_or_typical_fakes_are_no_near_copies(spread):
    """Fakes near the mean are nearer to training images than reals are, but to none alone."""
    rng = np.random.default_rng(8)
    train, held_out, fakes = rng.normal(size=(3, 800, 6))
    near = near_copies(spread * fakes, held_out, train)
    assert near.low <= near.chance < 0.01


def test_the_null_of_near_copies_is_a_beta_distribution():
    """The chance bound fails in at most 1% of samples, also with few held-out reals."""
    rng, repeats = np.random.default_rng(9), 150
    above = 0
    for _ in range(repeats):
        fakes, held_out, train = (rng.normal(size=(n, 3)) for n in (200, 40, 60))
        near = near_copies(fakes, held_out, train)
        above += near.low > near.chance
    assert above <= binom.ppf(0.999, repeats, 0.01)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_near_copies_are_counted(noise):
    rng = np.random.default_rng(10)
    fakes, held_out, train = rng.normal(size=(3, 1000, 8))
    fakes[:100] = train[:100] + noise * rng.normal(size=(100, 8))
    near = near_copies(fakes, held_out, train)
    assert near.share == pytest.approx(0.1, abs=0.01)
    assert near.low > 0.07
    assert near.chance < 0.01


def test_one_training_image_has_no_second_neighbour():
    with pytest.raises(ValueError, match="two training images"):
        near_copies(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros((1, 2)))


def test_exact_copies_against_held_out_reals():
    """Three of ten fakes recur in the training set, none of ten reals. The p is Fisher's, from scipy."""
    train = np.arange(40, dtype=np.uint8).reshape(10, 2, 2)
    fakes, reals = train + 100, train + 200
    fakes[:3] = train[:3]
    copies = exact_copies(fakes, reals, train)
    assert copies.share == 0.3
    assert copies.p == pytest.approx(fisher_exact([[3, 7], [0, 10]], "greater")[1])


def test_images_that_recur_among_reals_prove_no_copying():
    blank = np.zeros((20, 4), np.uint8)
    assert exact_copies(blank, blank, blank) == (1.0, 1.0)
