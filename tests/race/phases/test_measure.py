import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from arena.core.errors import ArenaError
from arena.generators.controls import Oracle
from arena.race.phases.fakes import provenance
from arena.race.race import Race
from arena.records.schema import ProvenanceRecord, QualityRecord
from arena.records.store import read_records
from tests.building import tiny_arena


class Downloaded(Oracle):
    """A generator whose fakes are files."""

    folder: Path

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())


def images(folder: Path, suffix: str) -> list[Path]:
    folder.mkdir()
    for number in range(8):
        Image.linear_gradient("L").resize((16, 16)).save(folder / f"{number}{suffix}")
    return sorted(folder.iterdir())


@pytest.mark.parametrize(("real", "fake", "alike"), [(".png", ".png", True), (".jpg", ".png", False)])
def test_files_of_both_sides_are_compared(
    finished: Race, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real: str, fake: str, alike: bool
):
    images(tmp_path / "fake", fake)
    monkeypatch.setattr(Downloaded, "folder", tmp_path / "fake", raising=False)
    reals = images(tmp_path / "real", real)
    monkeypatch.setattr(type(finished.data), "files", lambda self: reals)
    record = provenance(dataclasses.replace(finished, generator=Downloaded))
    assert record.checked
    assert (record.differences == ()) is alike


@pytest.mark.parametrize("side", ["reals", "fakes"])
def test_a_warning_names_the_only_side_with_jpeg_files(
    finished: Race, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, side: str
):
    race, files = finished, images(tmp_path / side, ".jpg")
    if side == "reals":
        monkeypatch.setattr(type(race.data), "files", lambda self: files)
    else:
        monkeypatch.setattr(Downloaded, "folder", tmp_path / side, raising=False)
        race = dataclasses.replace(race, generator=Downloaded)
    assert not provenance(race).checked
    assert f"the {side} are JPEG files" in caplog.text


def test_a_race_records_its_provenance_once_and_its_quality_every_round(finished: Race):
    records = read_records(finished.run)
    assert [record.round for record in records if isinstance(record, ProvenanceRecord)] == [0]
    qualities = [record for record in records if isinstance(record, QualityRecord)]
    assert [record.round for record in qualities] == [0, 1, 2]
    for record in qualities:
        assert record.features == "fitted"
        assert record.real_kernel_distance < record.unit_kernel_distance
        assert record.unit == "Gaussian noise of 15.9 grey levels of 255"
        assert 0 <= record.near_copies_low <= record.near_copies <= 1
        assert record.frechet_distance is None  # 96 images are too few for 51 features
        assert 0 <= record.memorisation_low <= record.memorisation <= record.memorisation_high <= 1


def test_features_without_weights_are_refused_before_anything_is_trained(run: Path):
    with pytest.raises(ArenaError, match=r"^features\.path=null: expected"):
        tiny_arena(run, "features=inception")
    assert not run.exists()
