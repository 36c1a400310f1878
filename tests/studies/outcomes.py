"""Outcomes of a simulated study: z-scores drawn from a normal of known deviation."""

import numpy as np

from arena.studies.calibration.trials import Outcome

A_LINE = Outcome(
    arm="digits",
    control="oracle",
    artefact="",
    amplitude=0,
    trial=0,
    technique="dct",
    n_real=540,
    n_fake=120,
    auc=0.5,
    of_images=9e-4,
    of_reals=2e-4,
    of_judges=1e-4,
    df=200.0,
    finding="passes",
    needed=0,
    answer="undecided",
    judges=3,
    gain=0.001,
    gain_error=0.01,
)


def oracle(arm="digits", techniques=("dct", "forest"), trials=60, deviation=1.0, seed=0):
    """Trials on reals alone, of an instrument whose z-scores have this deviation."""
    rng = np.random.default_rng([seed, trials])
    return [
        A_LINE._replace(
            arm=arm, technique=name, trial=trial, auc=0.5 + A_LINE.error() * deviation * float(rng.normal())
        )
        for trial in range(trials)
        for name in techniques
    ]


def control(control, answer, artefact="", amplitude=0, arm="digits", trials=5, **changes):
    """Trials of another control, all with one answer."""
    line = A_LINE._replace(arm=arm, control=control, artefact=artefact, amplitude=amplitude, answer=answer, **changes)
    return [line._replace(trial=trial) for trial in range(trials)]


def simulated_study():
    """Outcomes of every kind of control."""
    lines = oracle() + oracle("portraits", deviation=1.2, trials=80) + oracle("digits, cnn", ("cnn",), trials=20)
    lines += control("copycat", "invalid") + control("planted", "caught", "checkerboard", 4, finding="caught")
    for amplitude, arm, answer in ((1, "digits", "undecided"), (2, "digits", "caught"), (8, "portraits", "caught")):
        lines += control("planted", answer, "upsampling_trace", amplitude, arm)
    for reals, finding, answer in ((100, "undecided", "undecided"), (800, "passes", "passes_all")):
        needed = 900 if finding == "undecided" else 0
        lines += control("oracle", answer, arm=f"{reals} judge reals", n_real=reals, finding=finding, needed=needed)
    return lines
