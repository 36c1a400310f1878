import dataclasses
import hashlib

import numpy as np
import pytest

from arena.core.errors import ArenaError
from arena.records.schema import ControlRecord, PhaseRecord, ScoreFile, Scores
from arena.records.store import RecordBook, read_records, read_scores, to_lines, write_scores


def phase(name: str, round_index: int = 0, player: str = "cnn") -> PhaseRecord:
    return PhaseRecord(
        round=round_index,
        seed=0,
        phase=name,
        player=player,
        images=64,
        seconds=0.1,
        peak_memory_mib=1.0,
        device="cpu",
        precision="fp32",
    )


def control(found: float) -> ControlRecord:
    return ControlRecord(
        round=0, seed=0, control="oracle", technique="cnn", expected="1/2", found=found, low=0.4, high=0.6, holds=True
    )


def test_append_and_read(tmp_path):
    book = RecordBook(tmp_path)
    book.append([control(0.5), phase("judge")])
    book.append([phase("measure")])
    assert read_records(tmp_path) == [control(0.5), phase("judge"), phase("measure")]
    assert book.closed("judge", 0, "cnn") == phase("judge")
    assert book.closed("judge", 1, "cnn") is book.closed("judge", 0, "dct") is None


def test_a_phase_ends_with_its_record(tmp_path):
    with pytest.raises(ValueError, match="PhaseRecord"):
        RecordBook(tmp_path).append([control(0.5)])
    assert not (tmp_path / "records.jsonl").exists()


def test_killed_at_any_byte(tmp_path):
    """Whatever part of the second phase's write reached the disk, the first phase stands and the second is repeated."""
    book = RecordBook(tmp_path)
    path = tmp_path / "records.jsonl"
    book.append([control(0.5), phase("judge")])
    first = path.read_bytes()
    second = [control(0.6), control(0.7), phase("measure")]
    book.append(second)
    whole = path.read_bytes()
    for cut in range(len(first), len(whole)):
        path.write_bytes(whole[:cut])
        assert read_records(tmp_path) == [control(0.5), phase("judge")]
    for cut in range(len(first), len(whole), 97):
        path.write_bytes(whole[:cut])
        again = RecordBook(tmp_path)
        assert path.read_bytes() == first
        assert again.closed("measure", 0, "cnn") is None
        again.append(second)
        assert path.read_bytes() == whole


def test_a_phase_is_one_write(tmp_path, monkeypatch):
    """Records that cannot be written leave nothing behind."""
    book = RecordBook(tmp_path)
    book.append([phase("judge")])
    with pytest.raises(TypeError):
        book.append([dataclasses.replace(control(0.5), found=np.float32(0.5)), phase("measure")])
    assert read_records(tmp_path) == [phase("judge")]
    assert book.records == [phase("judge")]


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"kind": "nonsense"}\n' + to_lines([phase("judge")]))
    with pytest.raises(ArenaError, match=r"records\.jsonl, line 1"):
        read_records(tmp_path)


def test_no_run(tmp_path):
    with pytest.raises(ArenaError, match=r"records\.jsonl"):
        read_records(tmp_path)


SCORES = Scores(
    score=np.array([0.5, -1.25, 3.0], dtype=np.float32),
    label=np.array([0, 0, 1], dtype=np.uint8),
    image=np.array([4, 9, 0], dtype=np.int64),
    fold=np.array([0, 1, 0], dtype=np.uint8),
    source=np.array([7, 7, 0], dtype=np.int64),
)


def test_scores_come_back(tmp_path):
    file = write_scores(tmp_path, "fresh-cnn-0", SCORES)
    assert file.file == "scores/fresh-cnn-0.npz"
    found = read_scores(tmp_path, file)
    for name, values in SCORES._asdict().items():
        np.testing.assert_array_equal(getattr(found, name), values)
        assert getattr(found, name).dtype == values.dtype


def test_equal_scores_make_equal_files(tmp_path):
    one = write_scores(tmp_path / "a", "s", SCORES)
    two = write_scores(tmp_path / "b", "s", SCORES)
    assert one == two
    assert (tmp_path / "a" / one.file).read_bytes() == (tmp_path / "b" / two.file).read_bytes()
    assert [path.name for path in (tmp_path / "a" / "scores").iterdir()] == ["s.npz"]


def test_other_scores_than_the_record_speaks_of(tmp_path):
    file = write_scores(tmp_path, "s", SCORES)
    write_scores(tmp_path, "s", SCORES._replace(score=SCORES.score + 1))
    with pytest.raises(ArenaError, match="SHA-256"):
        read_scores(tmp_path, file)
    with pytest.raises(ArenaError, match="missing"):
        read_scores(tmp_path, ScoreFile("scores/none.npz", ""))


def test_scores_are_never_unpickled(tmp_path):
    """A score file with an object array in it is refused, whatever its record says."""
    path = tmp_path / "scores" / "s.npz"
    path.parent.mkdir()
    np.savez(path, score=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        read_scores(tmp_path, ScoreFile("scores/s.npz", hashlib.sha256(path.read_bytes()).hexdigest()))
