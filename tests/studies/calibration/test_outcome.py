import pytest

from arena.core.errors import ArenaError
from arena.studies.calibration.outcome import COLUMNS, read, write
from tests.studies.calibration.outcomes import A_LINE, study


def test_outcomes_are_read_as_they_were_written(tmp_path):
    lines = study()
    write(tmp_path / "once.csv", lines)
    kept = list(read(tmp_path / "once.csv"))
    assert [line[:8] + line[12:] for line in kept] == [line[:8] + line[12:] for line in lines]
    assert [line.auc for line in kept] == pytest.approx([line.auc for line in lines], abs=1e-6)
    write(tmp_path / "twice.csv", kept)
    assert (tmp_path / "twice.csv").read_bytes() == (tmp_path / "once.csv").read_bytes()


def test_the_error_with_the_reals_counted_once_and_twice():
    line = A_LINE._replace(auc=0.56, of_images=9e-4, of_reals=4e-4, of_judges=1e-4)
    assert line.error() == pytest.approx(1e-3**0.5)
    assert line.error(meetings=1) == pytest.approx(8e-4**0.5)  # half of what the reals have is gone
    assert line.z() == pytest.approx(0.06 / 1e-3**0.5)


@pytest.mark.parametrize(("auc", "held"), [(0.5, True), (0.56, True), (0.57, False), (0.43, False)])
def test_the_interval_holds_chance_or_does_not(auc, held):
    """An error of 0.0316 and many degrees of freedom: 1.97 errors are 0.0624."""
    assert A_LINE._replace(auc=auc, of_images=9e-4, of_judges=1e-4, df=200.0).holds_chance(0.95) is held


def test_few_degrees_of_freedom_widen_the_interval():
    line = A_LINE._replace(auc=0.57, of_images=9e-4, of_judges=1e-4, df=3.0)
    assert line.holds_chance(0.95)


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n"])
def test_a_file_that_is_no_study_is_refused(tmp_path, content):
    path = tmp_path / "outcomes.csv"
    path.write_text(content)
    with pytest.raises(ArenaError, match=r"outcomes.csv: expected the outcomes"):
        list(read(path))


@pytest.mark.parametrize("row", ["digits,oracle", "digits,oracle,,x" + ",0" * (len(COLUMNS) - 4)])
def test_a_line_that_is_torn_is_refused(tmp_path, row):
    path = tmp_path / "outcomes.csv"
    path.write_text(",".join(COLUMNS) + f"\n{row}\n")
    with pytest.raises(ArenaError, match=r"outcomes.csv: line 2: expected"):
        list(read(path))
