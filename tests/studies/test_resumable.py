from typing import NamedTuple

import pytest

from arena.core.errors import ArenaError
from arena.studies.resumable import ResumableCsv


class Line(NamedTuple):
    name: str
    trial: int
    auc: float


LINES = [Line("digits, cnn", 3, 0.7512), Line("", 0, 1.0)]


def test_lines_are_read_as_they_were_added(tmp_path):
    path = tmp_path / "out" / "study.csv"
    study = ResumableCsv(path, Line, ".4f")
    study.add(LINES[:1])
    study.add(LINES[1:])
    assert path.read_text() == 'name,trial,auc\n"digits, cnn",3,0.7512\n,0,1.0000\n'
    assert ResumableCsv(path, Line, ".4f").lines == study.lines == LINES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a study with columns name,trial,auc"),
        ("a,b\n1,2\n", "expected a study with columns name,trial,auc"),
        ("name,trial,auc\nx,1,0.5\nx,1\n", "line 3: expected name,trial,auc"),
        ("name,trial,auc\nx,many,0.5\n", "line 2: expected name,trial,auc"),
    ],
)
def test_a_file_that_is_no_study_or_is_torn_is_refused(tmp_path, content, message):
    path = tmp_path / "study.csv"
    path.write_text(content)
    with pytest.raises(ArenaError) as error:
        ResumableCsv(path, Line, ".4f")
    assert str(error.value) == f"{path}: {message}"
