from arena.studies.calibration.plan import ARMS, Arm, in_order


def test_a_study_that_stops_early_has_done_an_equal_share_of_every_arm():
    arms = (Arm("many", (), 100), Arm("few", (), 10))
    trials = in_order(arms)
    assert len(trials) == len(set(trials)) == 110
    half = trials[:55]
    assert [sum(arm.name == name for arm, _ in half) for name in ("many", "few")] == [50, 5]


def test_every_seed_of_a_trial_is_its_own():
    portraits = next(arm for arm in ARMS if arm.name == "portraits")
    overrides = portraits.of_trial(7)
    assert {"seed=7", "data.seed=7", "data.render_seed=7"} <= set(overrides)


def test_no_two_arms_are_the_same_trials():
    keys = [(arm.name, arm.control, arm.artefact, arm.amplitude) for arm in ARMS]
    assert len(set(keys)) == len(keys)
