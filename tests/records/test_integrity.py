"""Files that records name are compared with their hashes."""

import dataclasses

import pytest

from arena.core.errors import ArenaError
from arena.core.files import sha256_of, write_atomically
from arena.records.integrity import check_files, damaged_files, files_by_phase, recorded_files
from arena.records.schema import PhaseKey
from arena.records.store import RecordBook, read_records
from tests.records.test_store import phase
from tests.synthetic import synthetic_run


@pytest.fixture
def run(tmp_path):
    """A run of one phase that wrote two files."""
    files = ("banks/round_00.npz", "checkpoints/weights")
    for name in files:
        write_atomically(tmp_path / name, name.encode())
    hashes = {name: sha256_of(tmp_path / name) for name in files}
    RecordBook(tmp_path).append([dataclasses.replace(phase("forge"), files=hashes)])
    return tmp_path


def test_sound_files_are_not_damaged(run):
    records = read_records(run)
    assert damaged_files(run, records) == []
    check_files(run, [run / name for name in recorded_files(records)])
    assert files_by_phase(records) == {PhaseKey("forge", 0, "cnn"): {"banks/round_00.npz", "checkpoints/weights"}}


@pytest.mark.parametrize("damage", ["cut", "flipped", "deleted", "folder"])
def test_damage_is_named(run, damage):
    path = run / "checkpoints" / "weights"
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[:-1])
    elif damage == "flipped":
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
    elif damage == "folder":
        path.mkdir()
    assert damaged_files(run, read_records(run)) == ["checkpoints/weights"]
    check_files(run, [run / "banks" / "round_00.npz", run / "another"])
    with pytest.raises(ArenaError, match="weights: expected the file that the records name"):
        check_files(run, [path])


def test_files_without_records_are_left_alone(tmp_path):
    """As where the weights of a run were copied alone."""
    check_files(tmp_path, [tmp_path / "weights"])


def test_scores_are_files_of_their_phase(tmp_path):
    run = synthetic_run(tmp_path / "run", rounds=0)
    records = read_records(run)
    scores = [name for name in recorded_files(records) if name.startswith("scores/")]
    assert len(scores) > 3
    assert set(scores) <= set().union(*files_by_phase(records).values())
    (run / scores[0]).unlink()
    assert damaged_files(run, records) == [scores[0]]
