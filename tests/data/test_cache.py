from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

from arena.core.errors import ArenaError
from arena.data.cache import NAMED, CacheEntry, cached
from arena.data.files import Decoding


def content():
    return CacheEntry({"images": torch.arange(6, dtype=torch.uint8)}, {"note": "ü\n"})


def forbidden():
    raise AssertionError("made again")


def test_the_second_reader_makes_nothing(tmp_path):
    file = tmp_path / "deep" / "images.safetensors"
    made, read = cached(file, content), cached(file, forbidden)
    assert torch.equal(read.tensors["images"], made.tensors["images"])
    assert read.notes == made.notes


def test_of_several_readers_at_once_one_makes_the_content(tmp_path):
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


def test_a_damaged_file_is_made_again(tmp_path):
    file = tmp_path / "images.safetensors"
    cached(file, content)
    file.write_bytes(file.read_bytes()[:20])
    assert torch.equal(cached(file, content).tensors["images"], content().tensors["images"])
    assert cached(file, forbidden).notes == content().notes


def test_a_failure_leaves_no_file(tmp_path):
    with pytest.raises(AssertionError):
        cached(tmp_path / "images.safetensors", forbidden)
    assert not [*tmp_path.glob("*.safetensors"), *tmp_path.glob("*.part")]


def test_an_unusable_folder_names_the_key(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ArenaError, match="cache_dir="):
        cached(tmp_path / "file" / "images.safetensors", content)


def test_long_lists_of_skipped_images_end_in_a_count(caplog):
    images = torch.zeros(3, 1, 8, 8, dtype=torch.uint8)
    failures = dict.fromkeys(range(NAMED + 5), "no image")
    names = [f"{k}.txt" for k in range(len(failures) + 3)]
    entry = Decoding(images, failures, 2, {"PNG": 3}).cache_entry(names, persons=torch.arange(3))
    assert entry.tensors.keys() == {"images", "persons"}
    assert entry.skipped == dict.fromkeys(names[: NAMED + 5], "no image")
    assert entry.formats == {"PNG": 3}
    entry.warn(16)
    assert caplog.messages[0] == "skipped '0.txt': no image"
    assert "skipped 5 more" in caplog.messages[NAMED]
    assert caplog.messages[NAMED + 1].startswith("2 images are smaller than data.resolution=16")
    assert len(caplog.messages) == NAMED + 2
