import pytest

from arena.studies.calibration.plan import Arm
from arena.studies.calibration.trial import try_once

# As tiny as a judgement can be.
TINY = ["battery.images=128", "judge.images=128", "judge.folds=2", "~battery.members.dct", "~battery.members.oneclass"]


@pytest.mark.parametrize(
    ("arm", "answers"),
    [
        (Arm("digits", ("data=digits",), 1), {"undecided", "passes_all"}),
        (Arm("digits", ("data=digits",), 1, "planted", "checkerboard", 4), {"caught"}),
    ],
    ids=["oracle", "planted"],
)
def test_a_trial_is_the_verdict_on_a_control(arm, answers, tmp_path):
    found = try_once(arm, 3, TINY, tmp_path / "run", tmp_path / "cache")
    assert {line.technique for line in found} == {"spectrum", "forest", "fingerprint", "stack"}
    assert {line.answer for line in found} <= answers
    for line in found:
        assert (line.arm, line.control, line.trial, line.n_real) == ("digits", arm.control, 3, 539)
        assert line.error() >= line.error(meetings=1) > 0
        assert (line.needed > 0) <= (line.finding == "undecided")


def test_the_same_trial_again_is_the_same(tmp_path):
    arm = Arm("digits", ("data=digits",), 2, "copycat")
    once, again = (try_once(arm, 0, TINY, tmp_path / run, tmp_path / "cache") for run in ("once", "again"))
    assert once == again
    assert {line.answer for line in once} == {"invalid"}
