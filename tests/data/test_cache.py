from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from arena.core.errors import ArenaError
from arena.data.files import Cached, cached


def content():
    return Cached({"images": torch.arange(6, dtype=torch.uint8)}, {"note": "ü\n"})


def forbidden():
    raise AssertionError("made although it was there")


def test_second_reader_makes_nothing(tmp_path):
    file = tmp_path / "deep" / "images.safetensors"
    made = cached(file, content)
    read = cached(file, forbidden)
    assert torch.equal(read.tensors["images"], made.tensors["images"])
    assert read.notes == made.notes


def test_of_many_at_once_one_makes_it(tmp_path):
    made, together = [], Barrier(4)

    def make():
        made.append(1)
        return content()

    def reader(_):
        together.wait()
        return cached(tmp_path / "images.safetensors", make)

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(reader, range(4)))
    assert len(made) == 1
    assert all(torch.equal(result.tensors["images"], content().tensors["images"]) for result in results)


def test_damaged_file_is_made_anew(tmp_path):
    file = tmp_path / "images.safetensors"
    cached(file, content)
    file.write_bytes(file.read_bytes()[:20])
    assert torch.equal(cached(file, content).tensors["images"], content().tensors["images"])
    assert cached(file, forbidden).notes == content().notes


def test_failure_leaves_nothing_behind(tmp_path):
    with pytest.raises(AssertionError):
        cached(tmp_path / "images.safetensors", forbidden)
    assert not list(tmp_path.glob("*.safetensors"))
    assert not list(tmp_path.glob("*.part"))


def test_unusable_folder_names_the_key(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArenaError, match="cache_dir="):
        cached(tmp_path / "file" / "images.safetensors", content)
