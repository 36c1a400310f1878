"""The calibration study: its plan, its trials, and what its outcomes say."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import norm

from arena.config.compose import compose_config
from arena.core.errors import ArenaError
from arena.figures.axes import png
from arena.studies.calibration.figure import band, calibration
from arena.studies.calibration.study import calibration_study, run_trial, run_trials
from arena.studies.calibration.summary import (
    Proportion,
    errors_table,
    expected_table,
    null_distributions,
    share_of_answers,
    share_of_findings,
)
from arena.studies.calibration.trials import ARMS, AT_DEFAULTS, Arm, Outcome, in_order
from arena.studies.resumable import ResumableCsv
from tests.building import command
from tests.studies.outcomes import A_LINE, control, oracle, simulated_study

pytestmark = pytest.mark.slow

COMMITTED = Path(__file__).parents[2] / "experiments" / "calibration"
TWO_ARMS = (Arm("digits", ("data=digits",), 4), Arm("digits", ("data=digits",), 2, "planted", "stripes", 2))
QUIET = Console(quiet=True)


# --- plan ------------------------------------------------------------------------------------------------------------


def test_a_study_that_stops_early_has_done_an_equal_share_of_every_arm():
    arms = (Arm("many", (), 100), Arm("few", (), 10))
    trials = in_order(arms)
    assert len(trials) == len(set(trials)) == 110
    half = trials[:55]
    assert [sum(arm.name == name for arm, _ in half) for name in ("many", "few")] == [50, 5]


def test_every_trial_has_its_own_seeds():
    portraits = next(arm for arm in ARMS if arm.name == "portraits")
    assert {"seed=7", "data.seed=7", "data.render_seed=7"} <= set(portraits.of_trial(7))


def test_arms_at_the_defaults_have_the_budgets_of_a_race_of_the_oracle():
    for arm in AT_DEFAULTS:
        overrides = arm.of_trial(7)
        assert {"experiment=default", "generator=oracle", "access=none", "race.rounds=0", "data.seed=7"} <= {*overrides}
        race, usual = compose_config(overrides), compose_config([])
        assert (race.judge, race.bank, set(race.battery.members)) == (
            usual.judge,
            usual.bank,
            set(usual.battery.members),
        )


def test_an_unknown_arm_is_refused_before_any_trial(tmp_path):
    with pytest.raises(ArenaError, match=r"--arm=nope: expected one of .*digits at the defaults"):
        calibration_study(tmp_path, [], QUIET, ["nope"])
    assert list(tmp_path.iterdir()) == []


def test_no_two_arms_have_the_same_trials():
    keys = [(arm.name, arm.control, arm.artefact, arm.amplitude) for arm in (*ARMS, *AT_DEFAULTS)]
    assert len(set(keys)) == len(keys)


# --- trials ----------------------------------------------------------------------------------------------------------

# As tiny as a judgement can be.
TINY = ["battery.images=128", "judge.images=128", "judge.folds=2", "judge.degradations=[]"]
TINY += ["~battery.members.dct", "~battery.members.oneclass"]


@pytest.mark.parametrize(
    ("arm", "answers"),
    [
        (Arm("digits", ("data=digits",), 1), {"undecided", "passes_all"}),
        (Arm("digits", ("data=digits",), 1, "planted", "checkerboard", 4), {"caught"}),
    ],
    ids=["oracle", "planted"],
)
def test_a_trial_gives_the_verdict_on_a_control(arm, answers, tmp_path):
    outcomes = run_trial(arm, 3, TINY, tmp_path / "run", tmp_path / "cache")
    assert {line.technique for line in outcomes} == {"spectrum", "forest", "fingerprint", "stack"}
    assert {line.answer for line in outcomes} <= answers
    for line in outcomes:
        assert (line.arm, line.control, line.trial, line.n_real) == ("digits", arm.control, 3, 2158)
        assert line.error() >= line.error(fold_dependence=1) > 0
        assert (line.needed > 0) <= (line.finding == "undecided")
        assert line.judges == 3
        assert line.gain_error > 0
        if line.finding == "passes":  # the upper bound of the gain is below half of the margin
            assert line.gain + norm.isf(0.05) * line.gain_error < 0.025


def test_the_same_trial_again_gives_the_same_outcomes(tmp_path):
    arm = Arm("digits", ("data=digits",), 2, "copycat")
    once, again = (run_trial(arm, 0, TINY, tmp_path / run, tmp_path / "cache") for run in ("once", "again"))
    assert once == again
    assert {line.answer for line in once} == {"invalid"}


def simulated_trial(arm, trial, *_):
    """Two techniques, without a race."""
    line = A_LINE._replace(control=arm.control, artefact=arm.artefact or "", amplitude=arm.amplitude, trial=trial)
    return [line, line._replace(technique="forest")]


def test_an_interrupted_study_continues_with_the_trials_that_are_left(tmp_path):
    tried = []

    def interrupted(*trial):
        if len(tried) == 3:
            raise KeyboardInterrupt
        tried.append(trial[:2])
        return simulated_trial(*trial)

    with pytest.raises(KeyboardInterrupt):
        run_trials(TWO_ARMS, [], tmp_path, QUIET, interrupted)
    assert len(ResumableCsv(tmp_path / "outcomes.csv", Outcome, ".6g").lines) == 6
    left = []
    outcomes = run_trials(
        TWO_ARMS, [], tmp_path, QUIET, lambda *trial: left.append(trial[:2]) or simulated_trial(*trial)
    )
    assert len(tried) + len(left) == len({*tried, *left}) == 6
    assert ResumableCsv(tmp_path / "outcomes.csv", Outcome, ".6g").lines == outcomes
    assert {line.key[2:] for line in outcomes} == {("", 0, k) for k in range(4)} | {("stripes", 2, k) for k in range(2)}


def test_a_study_continues_with_the_same_overrides_only(tmp_path):
    run_trials(TWO_ARMS, ["judge.folds=2"], tmp_path, QUIET, simulated_trial)
    with pytest.raises(ArenaError, match=r"overrides.txt: expected the overrides of this study, found .*judge.folds=2"):
        run_trials(TWO_ARMS, ["judge.folds=3"], tmp_path, QUIET, simulated_trial)


def test_the_committed_outcomes_give_the_committed_tables_and_figure(tmp_path, capsys):
    """All trials are in the file, so that the command only tabulates and draws."""
    (tmp_path / "outcomes.csv").write_bytes((COMMITTED / "outcomes.csv").read_bytes())
    assert command("calibration")(["--out", str(tmp_path)]) == 0
    assert "0 trials to go, 445 done" in capsys.readouterr().out
    tables = {
        f"{name}.{kind}" for name in ("errors", "expected", "limits", "nulls", "power") for kind in ("csv", "tex")
    }
    assert {path.name for path in tmp_path.iterdir()} == {"outcomes.csv", "overrides.txt", "calibration.png", *tables}
    for name in tables:
        assert (tmp_path / name).read_text() == (COMMITTED / name).read_text(), name


# --- outcomes --------------------------------------------------------------------------------------------------------


def test_outcomes_are_read_as_they_were_written(tmp_path):
    lines = simulated_study()
    ResumableCsv(tmp_path / "once.csv", Outcome, ".6g").add(lines)
    kept = ResumableCsv(tmp_path / "once.csv", Outcome, ".6g").lines
    assert [line[:8] + line[12:] for line in kept] == [line[:8] + line[12:] for line in lines]
    assert [line.auc for line in kept] == pytest.approx([line.auc for line in lines], abs=1e-6)


def test_the_error_counts_the_reals_once_or_twice():
    line = A_LINE._replace(auc=0.56, of_images=9e-4, of_reals=4e-4, of_judges=1e-4)
    assert line.error() == pytest.approx(1e-3**0.5)
    assert line.error(fold_dependence=1) == pytest.approx(8e-4**0.5)  # without half of the variance of the reals
    assert line.z() == pytest.approx(0.06 / 1e-3**0.5)


@pytest.mark.parametrize(
    ("auc", "df", "holds"),
    [(0.5, 200, True), (0.56, 200, True), (0.57, 200, False), (0.43, 200, False), (0.57, 3, True)],
)
def test_the_interval_holds_chance_or_does_not(auc, df, holds):
    """The error is 0.0316. With 200 degrees of freedom 1.97 errors are 0.0624, with 3 more."""
    assert A_LINE._replace(auc=auc, of_images=9e-4, of_judges=1e-4, df=df).holds_chance(0.95) is holds


# --- summary ---------------------------------------------------------------------------------------------------------


def test_a_share_has_the_interval_of_clopper_and_pearson():
    """For ten of ten the lower end is the tenth root of 0.025."""
    share = Proportion(10, 10)
    assert (share.value, share.high) == (1.0, 1.0)
    assert share.low == pytest.approx(0.025**0.1)
    assert np.isnan(Proportion(0, 0).value)


@pytest.mark.parametrize(("count", "agrees"), [(190, True), (172, False), (200, False)])
def test_shares_agree_with_a_probability_within_chance(count, agrees):
    assert Proportion(count, 200).agrees_with(0.95) is agrees


@pytest.mark.parametrize(("count", "holds"), [(0, True), (20, True), (22, False), (190, False)])
def test_few_are_caught_by_chance(count, holds):
    """The 99.9% point of a binomial of 200 at 0.05 is 21."""
    assert Proportion(count, 200).is_at_most(0.05) is holds


@pytest.mark.parametrize("deviation", [1.0, 1.5, 0.6])
def test_the_deviation_of_z_is_estimated_and_normality_is_tested(deviation):
    null = null_distributions(oracle(techniques=("dct",), trials=400, deviation=deviation))[0]
    low, high = null.deviation_interval
    assert low < deviation < high
    assert (null.p < 0.01) == (deviation != 1.0)
    assert null.holding.agrees_with(0.95) == (deviation == 1.0)
    assert list(null.z) == sorted(null.z)


def test_z_is_wider_if_folds_count_as_independent():
    dependent, independent = (null_distributions(oracle(trials=50), *factor)[0] for factor in ((), (1,)))
    assert independent.deviation == pytest.approx(dependent.deviation * (1e-3 / 9e-4) ** 0.5)


def test_answers_count_trials_and_findings_count_techniques():
    lines = control("planted", "caught", "stripes", 2, trials=4, finding="caught")
    lines += [line._replace(technique="forest", finding="passes") for line in lines]
    assert share_of_answers(lines, "caught") == Proportion(4, 4)
    assert share_of_findings(lines, "caught") == Proportion(4, 8)


def test_every_control_has_its_expectation():
    rows = {(row[0], row[1]): row[2:] for row in expected_table(simulated_study(), 0.05)}
    assert rows["digits", "oracle"] == ["caught at most 5%", "0 of 60", "yes"]
    assert rows["digits", "copycat"] == ["invalid", "5 of 5", "yes"]
    assert rows["digits", "checkerboard, 4 levels"] == ["caught", "caught 5 of 5", "yes"]
    assert rows["digits", "upsampling_trace, 1 levels"] == ["", "caught 0 of 5", ""]  # a faint artefact


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
def test_a_faulty_instrument_breaks_an_expectation(lines):
    assert [row[-1] for row in expected_table(lines, 0.05)] == ["holds", "no"]


# --- figure ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def figure():
    return calibration(simulated_study())


def panel(figure, letter):
    return next(axes for axes in figure.axes if axes.get_title(loc="left").startswith(f"{letter}  "))


@pytest.mark.parametrize("n", [20, 100])
def test_a_normal_sample_leaves_the_band_in_one_case_of_twenty(n):
    rng, (low, high) = np.random.default_rng(7), band(n)
    expected = norm.ppf((np.arange(1, n + 1) - 0.5) / n)
    assert (low < expected).all()
    assert (expected < high).all()
    z = np.sort(rng.normal(size=(1000, n)), axis=1)
    outside = ((z < low) | (z > high)).any(axis=1).mean()
    assert 0.025 < outside < 0.08
    assert ((1.3 * z < low) | (1.3 * z > high)).any(axis=1).mean() > 2 * outside


def test_the_mean_line_is_as_steep_as_z_is_wide():
    drawn = calibration(oracle("digits", ("dct",), 300, 1.0) + oracle("portraits", ("dct",), 300, 1.5))
    for letter, deviation in (("a", 1.0), ("d", 1.5)):
        mean = next(line for line in panel(drawn, letter).lines if line.get_label() == "error: the verdict's")
        slope = np.polyfit(*(np.asarray(values, float) for values in mean.get_data()), deg=1)[0]
        assert slope == pytest.approx(deviation, rel=0.1)


def test_every_technique_has_a_row_with_both_errors(figure):
    labels = [label.get_text() for label in panel(figure, "b").get_yticklabels()]
    assert labels == ["dct, digits", "forest, digits", "cnn, digits", "dct, portraits", "forest, portraits"]
    marks = [line for line in panel(figure, "c").lines if line.get_marker() in ("o", "s")]
    assert len(marks) == 2 * len(labels)


def test_a_study_of_the_defaults_alone_is_drawn():
    drawn = calibration(oracle("portraits at the defaults", ("dct",), 30, 1.0))
    assert [label.get_text() for label in panel(drawn, "b").get_yticklabels()] == ["dct, portraits, race"]
    assert [*panel(drawn, "a").lines, *panel(drawn, "e").lines] == []


@pytest.mark.parametrize(
    ("letter", "labels", "shares"),
    [
        ("e", ["8"], {"trials caught": [1.0], "techniques caught it": [0.0]}),
        ("f", ["100", "800"], {"trials passed all": [0.0, 1.0], "techniques passed": [0.0, 1.0]}),
    ],
)
def test_shares_stand_at_their_amplitude_or_number_of_reals(figure, letter, labels, shares):
    lines = {line.get_label(): list(line.get_ydata()) for line in panel(figure, letter).lines}
    assert {label: lines[label] for label in shares} == shares
    assert [label.get_text() for label in panel(figure, letter).get_xticklabels()] == labels


def test_a_study_with_few_trials_can_be_drawn():
    assert png(calibration(oracle(trials=2)))


def test_equal_outcomes_make_equal_bytes(figure):
    assert png(figure) == png(calibration(simulated_study()))


def test_errors_at_the_defaults_are_in_units_of_delongs_formula():
    """With a deviation of z of 1/2 the true error is half of the claimed one."""
    lines = oracle("digits at the defaults", ("dct",), trials=2000, deviation=0.5)
    header, row, mean = errors_table([*lines, *oracle("digits")])
    claimed = A_LINE.error() / (1 / (6 * A_LINE.n_real) + 1 / (12 * A_LINE.n_fake)) ** 0.5
    found = dict(zip(header, row, strict=True))
    assert (found["technique"], found["trials"], found["judges"]) == ("dct", "2000", "3.0")
    assert float(found["AUC claimed"]) == pytest.approx(claimed, abs=0.006)
    assert float(found["AUC true"]) == pytest.approx(claimed / 2, rel=0.06)
    assert mean[1:2] + mean[4:] == ["mean", *row[4:]]
