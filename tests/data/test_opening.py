"""Files of every sort in a folder of images: read, or skipped in one line, and never waited for."""

import logging
import os
import socket

import numpy as np
import pytest
from PIL import Image

from arena.core.errors import ArenaError
from arena.core.text import printable
from arena.data.decoding import decode
from arena.data.files import decode_folder, find_files
from arena.data.opening import LARGEST, read_image_file
from arena.data.provenance import read_headers

GREY = np.full((20, 20), 130, dtype=np.uint8)
NAMES = ["plain.png", "\x1b[2Jclear.png", "two\nlines.png", "‮gnp.exe", "größe ß.png", "x" * 250 + ".png"]


def decoded(folder, caplog):
    with caplog.at_level(logging.WARNING):
        return decode_folder("data", folder, 16, None, folder.parent / "cache")


def test_what_is_no_regular_file_is_skipped_in_one_line_without_waiting(tmp_path, caplog):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(GREY).save(folder / "a.png")
    os.mkfifo(folder / "pipe.png")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "nowhere.png").symlink_to(folder / "nothing")
    (folder / "device.png").symlink_to("/dev/zero")
    (folder / "terminal.png").symlink_to("/dev/tty")
    (folder / "inside").mkdir()
    (folder / "inside" / "again").symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.getcwd()
        os.chdir(folder)  # the path of a socket is short
        try:
            listening.bind("socket.png")
        finally:
            os.chdir(here)
        found = decoded(folder, caplog)
    assert found.names == ["a.png"]
    skipped = {record.getMessage().split()[1].strip("':") for record in caplog.records}
    assert skipped == {"pipe.png", "loop.png", "nowhere.png", "device.png", "terminal.png", "socket.png"}
    assert "a named pipe, expected a regular file" in caplog.text
    for name in skipped:
        assert read_headers(folder / name) is None


def test_files_larger_than_images_are_not_read(tmp_path):
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(OSError, match=r"1,073,741,825 bytes, expected at most"):
        read_image_file(tmp_path / "large.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_folders_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(ArenaError, match=r"data\.path=.*: expected folders that can be read"):
        find_files(tmp_path, "data.path")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_decoded_and_shown_without_acting_on_a_terminal(tmp_path, caplog, name):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / name).write_bytes(b"no image")
    Image.fromarray(GREY).save(folder / "good.png")
    assert decoded(folder, caplog).names == ["good.png"]
    (record,) = caplog.records
    assert record.getMessage() == f"skipped {name!r}: no image"
    assert not set(record.getMessage()) & set("\x1b\n\u202e")


def test_a_name_that_is_no_text_is_shown_as_its_bytes(tmp_path, caplog):
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff\xfe.png")).write_bytes(b"")
    Image.fromarray(GREY).save(folder / "good.png")
    assert decoded(folder, caplog).names == ["good.png"]
    assert "skipped '\\udcff\\udcfe.png': no image" in caplog.text
    caplog.text.encode()


def test_text_is_shown_as_it_is_where_it_is_harmless():
    for text in ("größe.png", "写真/一.jpg", "a b'c\"d\\e", "😀"):
        assert printable(text) == text
    assert printable("a\tb\r\x00\x7f\x9b\u2028\ufeff") == "a\\tb\\r\\x00\\x7f\\x9b\\u2028\\ufeff"


def test_a_bomb_is_skipped(tmp_path, caplog, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("1", (400, 400)).save(folder / "bomb.png")
    Image.fromarray(GREY).save(folder / "good.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100_000)
    assert decoded(folder, caplog).names == ["good.png"]
    assert "decompression bomb" in caplog.text


def test_modes_give_the_same_grey(tmp_path):
    """16 bits are scaled, CMYK is converted, and a transparent palette is put on white."""
    image = Image.fromarray(GREY)
    Image.fromarray(GREY.astype(np.uint16) * 257).save(tmp_path / "sixteen.png")
    image.convert("RGB").convert("CMYK").save(tmp_path / "cmyk.tif")
    image.convert("P").save(tmp_path / "palette.gif", save_all=True, append_images=[Image.new("P", image.size)])
    for path in sorted(tmp_path.iterdir()):
        pixels = decode(path, 16).pixels
        assert np.abs(pixels.astype(int) - 130).max() <= 1, path.name
    palette = Image.new("P", (20, 20), 0)
    palette.putpalette([10, 20, 30] * 256)
    palette.save(tmp_path / "clear.png", transparency=0)
    assert decode(tmp_path / "clear.png", 16).pixels.min() == 255
