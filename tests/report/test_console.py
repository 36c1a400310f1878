from io import StringIO

import pytest
from rich.console import Console

from arena.answer.answer import read_answer
from arena.report.console import print_outcome
from tests.synthetic import synthetic_run

pytestmark = pytest.mark.slow


def printed(run, **options) -> str:
    text = StringIO()
    print_outcome(read_answer(run), Console(file=text, **options))
    return text.getvalue()


def test_plain_lines_away_from_a_terminal(run):
    verdict = read_answer(run).verdict
    text = printed(run)
    assert "\x1b" not in text
    lines = text.splitlines()
    assert verdict.sentence in lines  # one line, however long
    for name, test in verdict.techniques.items():
        (row,) = [line.split() for line in lines if line.split()[:1] == [name]]
        assert row[1] == test.access
        assert row[-1] == test.finding
        assert test.auc is not None
        assert f"{test.auc:.3f}" in row
    assert lines.index(verdict.sentence) > max(k for k, line in enumerate(lines) if " stack " in line)


def test_says_where_report_and_figures_are_once_they_are(tmp_path):
    run = synthetic_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5}, n_real=60)
    assert "report:" not in printed(run)
    (run / "report.html").write_text("")
    (run / "figures").mkdir()
    text = printed(run)
    assert f"report: {run / 'report.html'}" in text
    assert f"figures: {run / 'figures'}" in text


@pytest.mark.parametrize("width", [60, 120])
def test_colour_on_a_terminal(run, width):
    assert "\x1b[31mcaught" in printed(run, force_terminal=True, width=width)


def test_a_technique_without_judges_is_a_dash(tmp_path):
    run = synthetic_run(tmp_path / "run", rounds=0, techniques={"cnn": 0.5, "dct": 0.5}, unrecorded=("dct",), n_real=60)
    (row,) = [line.split() for line in printed(run).splitlines() if line.split()[:1] == ["dct"]]
    assert row[-2:] == ["–", "unfit"]
