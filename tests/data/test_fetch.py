import socket
import warnings
from urllib.error import URLError

import pytest

from arena.core.errors import ArenaError
from arena.data.downloads import PATIENCE, data_home, fetched


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "home"))
    return tmp_path / "home"


def test_what_the_fetcher_returns_and_nothing_it_prints(capsys):
    def fetch():
        print("downloading")
        warnings.warn("Retry downloading", stacklevel=1)
        return 7, socket.getdefaulttimeout()

    assert fetched("faces", fetch, "") == (7, PATIENCE)
    assert socket.getdefaulttimeout() is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (URLError("[Errno -2] Name or service\n not known"), "(<urlopen error [Errno -2] Name or service not known>)"),
        (TimeoutError(), "(TimeoutError)"),
        (EOFError("Compressed file ended"), "(Compressed file ended)"),
    ],
)
def test_offline_is_one_line_that_says_what_to_do(home, failure, reason):
    def fetch():
        raise failure

    with pytest.raises(ArenaError) as error:
        fetched("faces", fetch, "put it there")
    line = f"data=faces: expected in {home}, and it cannot be downloaded {reason}; by hand: put it there"
    assert str(error.value) == line
    assert socket.getdefaulttimeout() is None


def test_a_wrong_file_put_there_by_hand_is_named():
    """scikit-learn only warns of it, and then tries to download the right one."""

    def fetch():
        warnings.warn("SHA256 checksum of existing local file faces.mat differs", stacklevel=1)
        warnings.warn("Retry downloading", stacklevel=1)
        raise URLError("offline")

    with pytest.raises(ArenaError, match=r"\(SHA256 checksum of existing local file faces\.mat differs <urlopen"):
        fetched("faces", fetch, "")


def test_a_data_folder_that_cannot_be_made(home):
    home.write_text("a file")
    with pytest.raises(ArenaError, match=r"^SCIKIT_LEARN_DATA=.*home: expected a folder"):
        data_home()
