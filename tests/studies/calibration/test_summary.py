import numpy as np
import pytest

from arena.studies.calibration.summary import Proportion, answered, expectations, found, nulls
from tests.studies.calibration.outcomes import control, oracle, study


def test_a_share_with_the_interval_of_clopper_and_pearson():
    """Ten of ten: the lower end is 0.025 to the tenth root."""
    share = Proportion(10, 10)
    assert (share.value, share.high) == (1.0, 1.0)
    assert share.low == pytest.approx(0.025**0.1)
    assert np.isnan(Proportion(0, 0).value)


@pytest.mark.parametrize(("count", "agrees", "at_most"), [(190, True, False), (172, False, False), (200, False, False)])
def test_shares_agree_with_a_probability_within_chance(count, agrees, at_most):
    assert Proportion(count, 200).agrees_with(0.95) is agrees
    assert Proportion(count, 200).is_at_most(0.05) is at_most


@pytest.mark.parametrize(("count", "held"), [(0, True), (10, True), (20, True), (22, False)])
def test_few_are_caught_by_chance(count, held):
    """The 99.9% point of a binomial of 200 at 0.05 is 21."""
    assert Proportion(count, 200).is_at_most(0.05) is held


@pytest.mark.parametrize("deviation", [1.0, 1.5, 0.6])
def test_the_deviation_of_z_is_found_and_the_test_of_normality_tells(deviation):
    null = nulls(oracle(techniques=("dct",), trials=400, deviation=deviation))[0]
    low, high = null.deviation_interval
    assert low < deviation < high
    assert (null.p < 0.01) == (deviation != 1.0)
    assert null.holding.agrees_with(0.95) == (deviation == 1.0)
    assert list(null.z) == sorted(null.z)


def test_were_the_folds_independent_z_would_be_wider():
    with_all, once = (nulls(oracle(trials=50), *of)[0] for of in ((), (1,)))
    assert once.deviation == pytest.approx(with_all.deviation * (1e-3 / 9e-4) ** 0.5)


def test_answers_count_trials_and_findings_count_techniques():
    lines = control("planted", "caught", "stripes", 2, trials=4, finding="caught")
    lines += [line._replace(technique="forest", finding="passes") for line in lines]
    assert answered(lines, "caught") == Proportion(4, 4)
    assert found(lines, "caught") == Proportion(4, 8)


def test_what_is_expected_of_every_control():
    rows = {(its.arm, its.control): its for its in expectations(study(), 0.05)}
    assert rows["digits", "oracle"].holds
    assert rows["digits", "copycat"].holds
    assert rows["digits", "checkerboard, 4 levels"].holds
    assert rows["digits", "upsampling_trace, 1 levels"].holds is None  # nobody knows how faint may be
    assert rows["digits", "upsampling_trace, 1 levels"].found == "caught 0 of 5"


@pytest.mark.parametrize(
    "lines",
    [
        control("copycat", "invalid") + control("copycat", "caught", trials=6)[5:],
        control("planted", "caught", "checkerboard", 4)
        + control("planted", "undecided", "checkerboard", 4, trials=6)[5:],
        control("oracle", "caught", trials=3),
    ],
    ids=["a copycat not invalid", "a plain artefact missed", "the oracle caught"],
)
def test_an_instrument_out_of_order_is_told(lines):
    assert [its.holds for its in expectations(lines, 0.05)] == [False]
