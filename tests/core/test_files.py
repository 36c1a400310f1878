"""Folders are sealed when they are complete, and arrays are read from sound files alone."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arena.core.errors import ArenaError
from arena.core.files import SEAL, file_hash, is_sealed, load_arrays, save_arrays, seal, sha256_of, write_atomically


@pytest.fixture
def folder(tmp_path):
    write_atomically(tmp_path / "state" / "weights", bytes(range(256)))
    write_atomically(tmp_path / "state" / "below" / "counts", b"{}")
    return tmp_path / "state"


def test_a_folder_is_sealed_until_a_file_of_it_changes(folder):
    assert not is_sealed(folder)
    seal(folder)
    assert is_sealed(folder)
    write_atomically(folder / "further", b"")
    assert is_sealed(folder)
    for name in ("weights", "below/counts"):
        before = (folder / name).read_bytes()
        for damaged in (before[:-1], bytes([before[0] ^ 1]) + before[1:], None):
            if damaged is None:
                (folder / name).unlink()
            else:
                (folder / name).write_bytes(damaged)
            assert not is_sealed(folder)
        (folder / name).write_bytes(before)
    assert is_sealed(folder)


def test_a_file_that_does_not_belong_to_a_folder_may_be_removed(folder):
    seal(folder, without="weights")
    (folder / "weights").unlink()
    assert is_sealed(folder)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 5_000, b'{"weights": 1}', b'{"none": "0"}'])
def test_a_damaged_seal_seals_nothing(folder, content):
    (folder / SEAL).write_bytes(content)
    assert not is_sealed(folder)


def test_the_hash_is_that_of_the_content(folder):
    # SHA-256 of the bytes 0 to 255, as `sha256sum` prints it.
    assert sha256_of(folder / "weights") == "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880"
    assert file_hash([folder / "weights"]) != file_hash([folder / "below" / "counts"])


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_arrays_are_read_whole_or_named_in_one_line(tmp_path, data):
    path = tmp_path / "arrays.npz"
    save_arrays(path, {"images": np.arange(48, dtype=np.uint8).reshape(3, 4, 4), "ids": np.arange(3)})
    content = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    said, arrays = f"{path}: ", []
    try:
        arrays = load_arrays(path, ["images", "ids"])
    except ArenaError as error:
        said = str(error)
    assert said.startswith(f"{path}: ")
    assert "\n" not in said
    assert [type(array) for array in arrays] in ([], [np.ndarray] * 2)


def test_arrays_that_would_be_unpickled_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{}], dtype=object))
    with pytest.raises(ArenaError, match="expected an npz with images"):
        load_arrays(tmp_path / "a.npz", ["images"])
