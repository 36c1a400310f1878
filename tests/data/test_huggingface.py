import sys
from io import BytesIO
from types import ModuleType

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from arena.core.errors import ArenaError
from arena.data.decoding import decode
from arena.data.huggingface import HuggingFace

# -- a hub without a network ------------------------------------------------------------------------------------------


class ImageColumn:
    """Stands for ``datasets.Image``, the type of a column."""

    def __init__(self, decode=True):
        self.decode = decode


class Rows:
    """A streamed set, and the number of its rows that were read."""

    def __init__(self, rows, features=None):
        first = rows[0] if rows else {}
        self.rows = rows
        self.features = features or {name: ImageColumn() if name == "image" else None for name in first}
        self.columns, self.limit, self.read = list(self.features), None, 0

    def select_columns(self, columns):
        self.columns = columns
        return self

    def cast_column(self, column, feature):
        assert column in self.columns
        assert not feature.decode  # damaged bytes must not end the stream
        return self

    def take(self, n):
        self.limit = n
        return self

    def __iter__(self):
        for row in self.rows[: self.limit]:
            if isinstance(row, Exception):
                raise row
            self.read += 1
            yield {column: row[column] for column in self.columns}


class Hub:
    """A hub with one set of rows, or one failure, under every name."""

    def __init__(self):
        self.rows, self.requests = Rows([]), []

    def load_dataset(self, name, config, **settings):
        self.requests.append((name, config, settings))
        if isinstance(self.rows, Exception):
            raise self.rows
        return self.rows


@pytest.fixture
def hub(monkeypatch):
    hub = Hub()
    datasets, client = ModuleType("datasets"), ModuleType("huggingface_hub")
    monkeypatch.setattr(datasets, "Image", ImageColumn, raising=False)
    monkeypatch.setattr(datasets, "load_dataset", hub.load_dataset, raising=False)

    class HfApi:
        def dataset_info(self, name, *, revision, timeout):
            hub.requests.append((name, revision))

    monkeypatch.setattr(client, "HfApi", HfApi, raising=False)
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    return hub


def photograph(seed, size=16):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def stored(image, form="PNG"):
    file = BytesIO()
    image.save(file, form)
    return {"bytes": file.getvalue(), "path": None}


def faces(n=200):
    return [{"image": stored(photograph(k)), "who": f"p{k % 50}", "smile": k % 2 == 0, "url": "-"} for k in range(n)]


def huggingface(cache_dir, **changed):
    usual = {"name": "owner/faces", "config": None, "split": "train", "revision": "main", "image": None}
    usual |= {"label": None, "person": None, "n": None, "resolution": 16, "channels": 3}
    return HuggingFace(**usual | {"seed": 0, "planted_amplitude": 8, "cache_dir": cache_dir} | changed)


# -- the images -------------------------------------------------------------------------------------------------------


def test_a_set_is_streamed_once_in_order_with_label_and_person(hub, tmp_path, monkeypatch):
    hub.rows = Rows(faces())
    settings = {"config": "aligned", "split": "valid", "revision": "v2", "label": "smile", "person": "who"}
    data = huggingface(tmp_path, **settings)
    assert data.reals.images.shape == (200, 3, 16, 16)
    for k in (0, 7, 199):
        assert np.array_equal(data.reals.images[k].permute(1, 2, 0), np.asarray(photograph(k)))
    assert data.reals.ids.tolist() == list(range(200))
    assert data.reals.attributes["smile"].tolist() == [float(k % 2 == 0) for k in range(200)]
    persons = data.reals.persons
    assert persons is not None
    assert len(set(zip(persons.tolist(), [k % 50 for k in range(200)], strict=True))) == 50
    parts = [set(persons[data.part(name).ids]) for name in ("generator", "detector", "judge", "reference")]
    assert sum(map(len, parts)) == 50
    assert hub.requests == [
        ("owner/faces", "v2"),
        ("owner/faces", "aligned", {"split": "valid", "revision": "v2", "streaming": True}),
    ]
    assert hub.rows.columns == ["image", "smile", "who"]  # no other column is downloaded
    # From the cache, neither the hub nor the extra is needed.
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    again = huggingface(tmp_path, **settings).load()
    assert torch.equal(again.images, data.reals.images)
    assert again.persons is not None
    assert np.array_equal(again.persons, persons)
    assert np.array_equal(again.attributes["smile"], data.reals.attributes["smile"])


CHANGES = {"name": "owner/others", "config": "a", "split": "test", "revision": "v2", "image": "image", "n": 5}
CHANGES |= {"label": "smile", "person": "who", "resolution": 8, "channels": 1}


@pytest.mark.parametrize("key", CHANGES)
def test_a_setting_that_changes_the_images_streams_again(hub, tmp_path, key):
    hub.rows = Rows(faces(10))
    reals = huggingface(tmp_path).load()
    assert reals.persons is None
    assert reals.attributes == {}
    huggingface(tmp_path, **{key: CHANGES[key]}).load()
    assert len([request for request in hub.requests if len(request) == 3]) == 2


def test_only_the_requested_images_are_downloaded(hub, tmp_path):
    hub.rows = Rows(faces())
    assert len(huggingface(tmp_path, n=30).load()) == 30
    assert hub.rows.read == 30


@pytest.mark.parametrize("stored_as", [stored, lambda image: stored(image)["bytes"], lambda image: image])
@pytest.mark.parametrize("channels", [1, 3])
def test_rows_hold_files_or_opened_images_and_are_cropped_like_folders(hub, tmp_path, stored_as, channels):
    image = photograph(0, 40).crop((0, 0, 40, 30))
    hub.rows = Rows([{"image": stored_as(image)}])
    image.save(tmp_path / "image.png")
    expected = np.atleast_3d(decode(tmp_path / "image.png", 16, grey=channels == 1).pixels)
    assert np.array_equal(huggingface(tmp_path, channels=channels).load().images[0].permute(1, 2, 0), expected)


def test_unreadable_rows_are_skipped_with_their_labels_and_listed_once_per_run(hub, tmp_path, caplog):
    rows = faces()
    rows[1]["image"] = {"bytes": b"no image", "path": None}
    rows[4]["image"] = None
    rows[5]["image"] = stored(photograph(5), "JPEG")
    hub.rows = Rows(rows)
    streamed, read = (huggingface(tmp_path, label="smile", person="who") for _ in range(2))
    for data in (streamed, read):
        caplog.clear()
        data.prepare_data()
        data.setup()
        assert caplog.messages[:2] == ["skipped 'row 1': no image", "skipped 'row 4': no image"]
        assert caplog.messages[2].startswith("1 of 198 images were stored as JPEG")
        assert "evidence=jpeg" in caplog.messages[2]
        assert len(caplog.messages) == 3
    reals = read.reals
    assert np.array_equal(reals.images[1].permute(1, 2, 0), np.asarray(photograph(2)))
    assert reals.attributes["smile"].tolist()[:4] == [1, 1, 0, 0]
    assert reals.persons is not None
    names = [f"p{k % 50}" for k in range(200) if k not in (1, 4)]
    assert reals.persons.tolist() == np.unique(names, return_inverse=True)[1].tolist()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([3, 0, 1], [3, 0, 1]),
        ([True, False, None], [1, 0, float("nan")]),
        (["dog", "cat", "dog"], [1, 0, 1]),
    ],
)
def test_labels_become_numbers(hub, tmp_path, labels, expected):
    hub.rows = Rows([{**row, "kind": label} for row, label in zip(faces(3), labels, strict=True)])
    numbers = huggingface(tmp_path, label="kind").load().attributes["kind"]
    assert numbers.dtype == np.float32
    assert np.array_equal(numbers, np.float32(expected), equal_nan=True)


def test_addresses_are_read_only_within_the_set(hub, tmp_path, monkeypatch, caplog):
    """A row may name any file: of this machine, or of a server that only this machine reaches."""
    opened = []

    def open_address(address, mode):
        opened.append(address)
        return BytesIO(stored(photograph(0))["bytes"])

    monkeypatch.setattr(fsspec, "open", open_address)
    (tmp_path / "own.png").write_bytes(stored(photograph(1))["bytes"])
    own = "hf://datasets/owner/faces@abc/0.png"
    zipped = "zip://0.png::hf://datasets/owner/faces@abc/all.zip"
    others = [str(tmp_path / "own.png"), "http://localhost/0.png", "hf://datasets/owner/others@abc/0.png", None]
    hub.rows = Rows([{"image": {"bytes": None, "path": path}} for path in (own, zipped, *others)])
    assert len(huggingface(tmp_path / "cache").load()) == 2
    assert sorted(opened) == [own, zipped]
    assert caplog.messages == [f"skipped 'row {k}': no image" for k in (2, 3, 4, 5)]


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [None, "/etc", "../faces", "a/b/c"])
def test_names_that_the_hub_cannot_have(tmp_path, name):
    with pytest.raises(ArenaError) as error:
        huggingface(tmp_path, name=name)
    assert str(error.value).startswith(f"data.name={name or 'null'}: expected a set of the Hugging Face hub")


TWO_IMAGES = Rows([{"a": stored(photograph(0)), "b": 1}], {"a": ImageColumn(), "b": ImageColumn()})
NO_IMAGES = Rows([{"a": stored(photograph(0)), "b": 1}], {"a": None, "b": None})


@pytest.mark.parametrize(
    ("rows", "changed", "message"),
    [
        (Rows(faces(3)), {"image": "photo"}, "data.image=photo: expected one of image, who, smile, url"),
        (Rows(faces(3)), {"label": "mood"}, "data.label=mood: expected one of image, who"),
        (Rows(faces(3)), {"person": "name"}, "data.person=name: expected one of image, who"),
        (TWO_IMAGES, {}, "data.image=null: expected one of a, b"),
        (NO_IMAGES, {}, "data.image=null: expected one of a, b"),
        (Rows([]), {"image": "image"}, "data.image=image: expected one of its columns, of which it declares none"),
        (Rows([{"image": None}]), {}, "data.image=image: expected images, found none in 1 rows"),
    ],
)
def test_columns_that_do_not_fit(hub, tmp_path, rows, changed, message):
    hub.rows = rows
    with pytest.raises(ArenaError) as error:
        huggingface(tmp_path, **changed).load()
    assert str(error.value).startswith(message)


def no_extra(hub, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)


def no_network(hub, monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("Name or service not known\nand more of it")

    monkeypatch.setattr(sys.modules["huggingface_hub"].HfApi, "dataset_info", offline)
    hub.rows = AssertionError("datasets would try for long")


def no_such_split(hub, monkeypatch):
    hub.rows = ValueError("Bad split: train. Available splits: ['test']")


def lost_stream(hub, monkeypatch):
    hub.rows = Rows([*faces(100), ConnectionError("connection reset")])


def lost_file(hub, monkeypatch):
    def lost(*_):
        raise TimeoutError("timed out")

    monkeypatch.setattr(fsspec, "open", lost)
    hub.rows = Rows([{"image": {"bytes": None, "path": "hf://datasets/owner/faces@abc/0.png"}}])


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (no_extra, "pip install 'arena-race[hub]'"),
        (no_network, "(Name or service not known)"),
        (no_such_split, "(Bad split: train. Available splits: ['test'])"),
        (lost_stream, "expected all of its rows, which failed (connection reset)"),
        (lost_file, "(timed out)"),
    ],
)
def test_an_unavailable_set_is_one_line_with_instructions(hub, tmp_path, monkeypatch, cause, reason):
    cause(hub, monkeypatch)
    data = huggingface(tmp_path)
    with pytest.raises(ArenaError) as error:
        data.load()
    line = str(error.value)
    assert line.startswith("data.name=owner/faces: ")
    assert reason in line
    assert "data=folder data.path=" in line
    assert str(data.cache_file) in line
    assert "\n" not in line
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_local_folder_of_that_name_is_not_read(hub, tmp_path, monkeypatch):
    (tmp_path / "owner" / "faces").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArenaError, match=r"^data\.name=owner/faces: expected no local folder of that name"):
        huggingface(tmp_path / "cache").load()


# -- the real library -------------------------------------------------------------------------------------------------


def test_a_stream_of_the_real_library(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    client = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(client.HfApi, "dataset_info", lambda *_, **__: None)
    rows = faces(20)
    rows[3]["image"] = {"bytes": b"damaged", "path": None}
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    kinds = {"image": datasets.Image(), "smile": datasets.Value("bool")}
    kinds |= {name: datasets.Value("string") for name in ("who", "url")}
    file = str(tmp_path / "faces.parquet")
    datasets.Dataset.from_dict(columns, features=datasets.Features(kinds)).to_parquet(file)
    load = datasets.load_dataset

    def load_local(name, config, *, split, revision, streaming):
        return load("parquet", split=split, streaming=streaming, cache_dir=str(tmp_path / "hub"), data_files=file)

    monkeypatch.setattr(datasets, "load_dataset", load_local)
    reals = huggingface(tmp_path / "cache", label="smile", person="who", n=10).load()
    assert reals.persons is not None
    assert reals.persons.tolist() == list(range(9))
    for image, k in zip(reals.images, [k for k in range(10) if k != 3], strict=True):
        assert np.array_equal(image.permute(1, 2, 0), np.asarray(photograph(k)))
