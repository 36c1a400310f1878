import contextlib
import dataclasses
import hashlib

import numpy as np
import pytest

from arena.core.errors import ArenaError
from arena.records.schema import ControlRecord, PhaseKey, PhaseRecord, ScoreFile, Scores
from arena.records.store import RecordBook, read_records, read_scores, sealed, to_lines, write_scores


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
    written = [*sealed([control(0.5), phase("judge")]), *sealed([phase("measure")])]
    assert read_records(tmp_path) == book.records == written
    assert book.closed(PhaseKey("judge", 0, "cnn")) == written[1]
    assert book.of_phase(PhaseKey("judge", 0, "cnn")) == written[:2]
    assert book.closed(PhaseKey("judge", 1, "cnn")) is book.closed(PhaseKey("judge", 0, "dct")) is None


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
        assert read_records(tmp_path) == sealed([control(0.5), phase("judge")])
    for cut in range(len(first), len(whole), 97):
        path.write_bytes(whole[:cut])
        again = RecordBook(tmp_path)
        assert again.closed(PhaseKey("measure", 0, "cnn")) is None
        again.append(second)
        assert path.read_bytes() == whole


def test_a_phase_is_one_write(tmp_path, monkeypatch):
    """Records that cannot be written leave nothing behind."""
    book = RecordBook(tmp_path)
    book.append([phase("judge")])
    with pytest.raises(TypeError):
        book.append([dataclasses.replace(control(0.5), found=np.float32(0.5)), phase("measure")])
    assert read_records(tmp_path) == book.records == sealed([phase("judge")])


def test_a_line_that_is_no_record_is_named(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text('{"kind": "nonsense"}\n' + to_lines([phase("judge")]))
    with pytest.raises(ArenaError, match=r"records\.jsonl, line 1"):
        read_records(tmp_path)


def test_no_run(tmp_path):
    with pytest.raises(ArenaError, match=r"records\.jsonl"):
        read_records(tmp_path)


MIDDLE = [phase("forge"), phase("judge"), phase("measure")]


@pytest.fixture
def three(tmp_path):
    """A file of three phases, the second with a control."""
    book = RecordBook(tmp_path)
    book.append([MIDDLE[0]])
    book.append([control(0.5), MIDDLE[1]])
    book.append([MIDDLE[2]])
    return tmp_path / "records.jsonl"


@pytest.mark.parametrize("line", range(4))
def test_any_changed_character_is_noticed(three, line):
    """Where it makes the last line no end of a phase any more, that phase is open."""
    whole = read_records(three.parent)
    lines = three.read_bytes().splitlines(keepends=True)
    for place in range(0, len(lines[line]) - 1, 7):
        changed = bytearray(lines[line])
        changed[place] ^= 1
        three.write_bytes(b"".join([*lines[:line], bytes(changed), *lines[line + 1 :]]))
        with contextlib.suppress(ArenaError):
            assert read_records(three.parent) == whole[:3] != whole


def test_a_damaged_phase_is_open_and_is_written_again_in_its_place(three):
    before = three.read_bytes()
    three.write_bytes(before.replace(b'"found": 0.5', b'"found": 0.6'))
    book = RecordBook(three.parent)
    assert [line.count("lines 2 to 3: damaged") for line in book.damage] == [1]
    assert book.closed(PhaseKey("judge", 0, "cnn")) is None
    assert book.closed(PhaseKey("measure", 0, "cnn")) is not None
    book.append([control(0.5), MIDDLE[1]], later=[PhaseKey("measure", 0, "cnn")])
    assert three.read_bytes() == before
    assert RecordBook(three.parent).damage == []


def test_a_phase_replaces_itself(three):
    book = RecordBook(three.parent)
    book.append([control(0.7), MIDDLE[1]], later=[PhaseKey("measure", 0, "cnn")])
    found = read_records(three.parent)
    assert found == book.records
    assert [getattr(record, "found", None) for record in found] == [None, 0.7, None, None]


def test_a_phase_sees_no_records_of_later_ones(three):
    book = RecordBook(three.parent)
    kept = book.records_without([PhaseKey("judge", 0, "cnn"), PhaseKey("measure", 0, "cnn")])
    assert kept == sealed([MIDDLE[0]])


@pytest.mark.parametrize(
    "content",
    [b'\xff\xfe{"kind": "phase"}\n', b"[" * 100_000 + b'"kind": "phase"\n', b'{"kind": "phase"}\n', b"\0\n"],
    ids=["no-utf-8", "nested", "no-fields", "zeros"],
)
def test_damage_is_named_in_one_line(three, content):
    three.write_bytes(content + three.read_bytes())
    with pytest.raises(ArenaError, match=r"records\.jsonl") as error:
        read_records(three.parent)
    assert "\n" not in str(error.value)


def test_records_that_are_a_folder(tmp_path):
    (tmp_path / "records.jsonl").mkdir()
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
