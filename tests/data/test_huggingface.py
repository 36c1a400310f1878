import sys
from io import BytesIO
from types import ModuleType

import fsspec
import numpy as np
import pytest
import torch
from PIL import Image

from arena.core.errors import ArenaError
from arena.data.files import decode
from arena.data.huggingface import HuggingFace

# -- a hub without a network ------------------------------------------------------------------------------------------


class ImageColumn:
    """Stands for ``datasets.Image``, the type of a column."""

    def __init__(self, decode=True):
        self.decode = decode


class Rows:
    """As much of a streamed set as is used, and how many of its rows were read."""

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
        assert not feature.decode  # the bytes are wanted: damaged ones must not end the stream
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
    """A set of rows at every name, or a failure."""

    def __init__(self):
        self.rows, self.asked = Rows([]), []

    def load_dataset(self, name, config, **settings):
        self.asked.append((name, config, settings))
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
            hub.asked.append((name, revision))

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


def settings(cache_dir, **changed):
    usual = {"name": "owner/faces", "config": None, "split": "train", "revision": "main", "image": None}
    usual |= {"label": None, "person": None, "n": None, "resolution": 16, "channels": 3}
    return usual | {"seed": 0, "planted_amplitude": 8, "cache_dir": cache_dir} | changed


def huggingface(cache_dir, **changed):
    return HuggingFace(**settings(cache_dir, **changed))


# -- what comes of it -------------------------------------------------------------------------------------------------


def test_streamed_in_order_with_label_and_person(hub, tmp_path):
    hub.rows = Rows(faces())
    data = huggingface(tmp_path, config="aligned", split="valid", revision="v2", label="smile", person="who")
    assert data.reals.images.shape == (200, 3, 16, 16)
    for k in (0, 7, 199):
        assert np.array_equal(data.reals.images[k].permute(1, 2, 0), np.asarray(photograph(k)))
    assert data.reals.ids.tolist() == list(range(200))
    assert data.reals.attributes["smile"].tolist() == [float(k % 2 == 0) for k in range(200)]
    persons = data.reals.persons
    assert persons is not None
    assert len(set(zip(persons.tolist(), [k % 50 for k in range(200)], strict=True))) == 50
    shown = [set(persons[data.part(name).ids]) for name in ("generator", "detector", "judge", "reference")]
    assert sum(map(len, shown)) == 50
    asked = {"split": "valid", "revision": "v2", "streaming": True}
    assert hub.asked == [("owner/faces", "v2"), ("owner/faces", "aligned", asked)]
    assert hub.rows.columns == ["image", "smile", "who"]  # nothing else is fetched


def test_without_label_and_person_none_is_known(hub, tmp_path):
    hub.rows = Rows(faces(3))
    reals = huggingface(tmp_path).load()
    assert reals.persons is None
    assert reals.attributes == {}


def test_once_cached_neither_hub_nor_extra_is_needed(hub, tmp_path, monkeypatch):
    hub.rows = Rows(faces())
    first = huggingface(tmp_path, label="smile", person="who").load()
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    again = huggingface(tmp_path, label="smile", person="who").load()
    assert torch.equal(again.images, first.images)
    assert str(again.persons) == str(first.persons) != "None"
    assert np.array_equal(again.attributes["smile"], first.attributes["smile"])


CHANGES = {"name": "owner/others", "config": "a", "split": "test", "revision": "v2", "image": "image", "n": 5}
CHANGES |= {"label": "smile", "person": "who", "resolution": 8, "channels": 1}


@pytest.mark.parametrize("key", CHANGES)
def test_whatever_changes_the_images_is_streamed_again(hub, tmp_path, key):
    hub.rows = Rows(faces(10))
    huggingface(tmp_path).load()
    huggingface(tmp_path, **{key: CHANGES[key]}).load()
    assert len([asked for asked in hub.asked if len(asked) == 3]) == 2


def test_no_more_is_fetched_than_asked_for(hub, tmp_path):
    hub.rows = Rows(faces())
    assert len(huggingface(tmp_path, n=30).load()) == 30
    assert hub.rows.read == 30


@pytest.mark.parametrize("held", [stored, lambda image: stored(image)["bytes"], lambda image: image])
def test_rows_hold_files_or_opened_images_and_share_the_crop_of_folders(hub, tmp_path, held):
    image = photograph(0, 40).crop((0, 0, 40, 30))
    hub.rows = Rows([{"image": held(image)}])
    image.save(tmp_path / "image.png")
    expected = decode(tmp_path / "image.png", 16).values
    assert np.array_equal(huggingface(tmp_path).load().images[0].permute(1, 2, 0), expected)


def test_grey_is_the_users_to_say(hub, tmp_path):
    hub.rows = Rows(faces(3))
    assert huggingface(tmp_path, channels=1).load().images.shape == (3, 1, 16, 16)


def test_what_is_no_image_is_skipped_told_every_time_and_shifts_nothing(hub, tmp_path, caplog):
    rows = faces(6)
    rows[1]["image"] = {"bytes": b"no image", "path": None}
    rows[4]["image"] = None
    hub.rows = Rows(rows)
    huggingface(tmp_path, label="smile", person="who").load()
    caplog.clear()
    reals = huggingface(tmp_path, label="smile", person="who").load()  # from the cache
    assert caplog.messages == ["skipped 'row 1': no image", "skipped 'row 4': no image"]
    assert np.array_equal(reals.images[1].permute(1, 2, 0), np.asarray(photograph(2)))
    assert reals.attributes["smile"].tolist() == [1, 1, 0, 0]
    assert reals.persons is not None
    assert reals.persons.tolist() == [0, 1, 2, 3]


def test_it_is_told_once_in_a_run(hub, tmp_path, caplog):
    rows = faces()
    rows[0]["image"] = None
    hub.rows = Rows(rows)
    data = huggingface(tmp_path)
    data.prepare_data()
    data.setup()
    assert caplog.messages == ["skipped 'row 0': no image"]


def test_traces_of_jpeg_are_warned_of(hub, tmp_path, caplog):
    rows = faces(5)
    rows[2]["image"] = stored(photograph(2), "JPEG")
    hub.rows = Rows(rows)
    for _ in range(2):
        caplog.clear()
        huggingface(tmp_path).load()
        assert "1 of 5 images were stored as JPEG" in caplog.text
    assert "evidence=jpeg" in caplog.text


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
    found = huggingface(tmp_path, label="kind").load().attributes["kind"]
    assert found.dtype == np.float32
    assert np.array_equal(found, np.float32(expected), equal_nan=True)


def test_addresses_within_the_set_are_read_and_no_others(hub, tmp_path, monkeypatch, caplog):
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


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": None}, "data.name=null: expected a set of the Hugging Face hub"),
        ({"name": "/etc"}, "data.name=/etc: expected a set"),
        ({"name": "../faces"}, "data.name=../faces: expected a set"),
        ({"name": "a/b/c"}, "data.name=a/b/c: expected a set"),
        ({"channels": 4}, "data.channels=4: expected 1 or 3"),
        ({"n": 0}, "data.n=0: expected at least 1 image"),
        ({"resolution": 20}, "data.resolution=20: expected a power of two"),
    ],
)
def test_impossible_values_are_refused_at_once(tmp_path, changed, message):
    with pytest.raises(ArenaError) as error:
        huggingface(tmp_path, **changed)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": "photo"}, "data.image=photo: expected one of image, who, smile, url"),
        ({"label": "mood"}, "data.label=mood: expected one of image, who"),
        ({"person": "name"}, "data.person=name: expected one of image, who"),
    ],
)
def test_columns_there_are_not(hub, tmp_path, changed, message):
    hub.rows = Rows(faces(3))
    with pytest.raises(ArenaError) as error:
        huggingface(tmp_path, **changed).load()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("features", [{"a": ImageColumn(), "b": ImageColumn()}, {"a": None, "b": None}])
def test_which_column_holds_the_images_must_be_clear(hub, tmp_path, features):
    hub.rows = Rows([{"a": stored(photograph(0)), "b": 1}], features)
    with pytest.raises(ArenaError, match=r"^data\.image=null: expected one of a, b"):
        huggingface(tmp_path).load()


def test_columns_the_set_does_not_declare(hub, tmp_path):
    hub.rows = Rows([])
    with pytest.raises(ArenaError, match=r"^data\.image=image: expected one of its columns, of which it declares none"):
        huggingface(tmp_path, image="image").load()


def test_a_set_without_images(hub, tmp_path):
    hub.rows = Rows([{"image": None}, {"image": {"bytes": b"", "path": None}}])
    with pytest.raises(ArenaError, match=r"^data\.image=image: expected images, found none in 2 rows"):
        huggingface(tmp_path).load()


def refused(cache_dir, reason):
    """One line that names the set and the reason, and both ways to put it right by hand."""
    data = huggingface(cache_dir)
    with pytest.raises(ArenaError) as error:
        data.load()
    line = str(error.value)
    assert line.startswith("data.name=owner/faces: ")
    assert reason in line
    assert "data=folder data.path=" in line
    assert str(data.cache_file) in line
    assert "\n" not in line
    assert not list(cache_dir.glob("*.safetensors"))


def test_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    refused(tmp_path, "pip install 'arena-race[hub]'")


def test_offline_is_said_before_datasets_is_asked(hub, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("Name or service not known\nand more of it")

    monkeypatch.setattr(sys.modules["huggingface_hub"].HfApi, "dataset_info", offline)
    refused(tmp_path, "(Name or service not known)")
    assert hub.asked == []


@pytest.mark.parametrize("failure", [ValueError("Bad split: train. Available splits: ['test']"), RuntimeError()])
def test_what_the_hub_does_not_have(hub, tmp_path, failure):
    hub.rows = failure
    refused(tmp_path, f"({str(failure) or 'RuntimeError'})")


def test_a_connection_lost_on_the_way_leaves_no_part_of_the_set(hub, tmp_path):
    hub.rows = Rows([*faces(100), ConnectionError("connection reset")])
    refused(tmp_path, "expected all of its rows, which failed (connection reset)")


def test_an_address_that_cannot_be_read_is_a_lost_connection(hub, tmp_path, monkeypatch):
    def lost(*_):
        raise TimeoutError("timed out")

    monkeypatch.setattr(fsspec, "open", lost)
    hub.rows = Rows([{"image": {"bytes": None, "path": "hf://datasets/owner/faces@abc/0.png"}}])
    refused(tmp_path, "(timed out)")


def test_a_folder_of_that_name_is_not_taken_for_it(hub, tmp_path, monkeypatch):
    (tmp_path / "owner" / "faces").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArenaError, match=r"^data\.name=owner/faces: expected no folder of that name here"):
        huggingface(tmp_path / "cache").load()


# -- the real library -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "imagefolder"])
def test_a_stream_of_the_real_library(tmp_path, monkeypatch, kind):
    """Rows of a parquet file, with damaged ones among them; and loose files, whose addresses would be the hub's."""
    datasets = pytest.importorskip("datasets")
    client = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(client.HfApi, "dataset_info", lambda *_, **__: None)
    load = datasets.load_dataset
    if kind == "parquet":
        rows = faces(20)
        rows[3]["image"] = {"bytes": b"damaged", "path": None}
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        declared = datasets.Features(
            {
                "image": datasets.Image(),
                "who": datasets.Value("string"),
                "smile": datasets.Value("bool"),
                "url": datasets.Value("string"),
            }
        )
        datasets.Dataset.from_dict(columns, features=declared).to_parquet(str(tmp_path / "faces.parquet"))
        files, label = {"data_files": str(tmp_path / "faces.parquet")}, "smile"
    else:
        for k in range(20):
            (tmp_path / "faces" / f"p{k % 2}").mkdir(parents=True, exist_ok=True)
            photograph(k).save(tmp_path / "faces" / f"p{k % 2}" / f"{k:02d}.png")
        files, label = {"data_dir": str(tmp_path / "faces")}, "label"
        monkeypatch.setattr("arena.data.huggingface._source", lambda value, _: open(value["path"], "rb").read())  # noqa: SIM115

    def load_local(name, config, *, split, revision, streaming):
        return load(kind, split=split, streaming=streaming, cache_dir=str(tmp_path / "hub"), **files)

    monkeypatch.setattr(datasets, "load_dataset", load_local)
    reals = huggingface(tmp_path / "cache", label=label, person="who" if kind == "parquet" else "label", n=10).load()
    assert reals.persons is not None
    if kind == "parquet":
        expected = [k for k in range(10) if k != 3]
        assert reals.persons.tolist() == list(range(9))
    else:
        expected = list(range(0, 20, 2))  # in the order of the folders
        assert set(reals.persons) == {0}
    assert len(reals) == len(expected)
    for image, k in zip(reals.images, expected, strict=True):
        assert np.array_equal(image.permute(1, 2, 0), np.asarray(photograph(k)))
