import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from arena.core.errors import ArenaError
from arena.data.files import decode_folder
from arena.data.provenance import compare_provenance
from arena.data.reals import Reals
from arena.generators.base import TrainableGenerator
from arena.generators.folder import FolderGenerator
from arena.imaging.images import to_uint8
from tests.building import tiny_arena

COUNTS = {"train": 40, "validation": 20, "test": 60}
NO_REALS = Reals(torch.empty(0, 1, 8, 8, dtype=torch.uint8), np.empty(0, np.int64))


def fill(folder: Path, n: int, side: int = 8, start: int = 0) -> Path:
    """Write grey images whose first pixel is their number."""
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(start, start + n):
        array = np.random.default_rng(k).integers(0, 256, (side, side), dtype=np.uint8)
        array[0, 0] = k
        Image.fromarray(array).save(folder / f"{k:03d}.png")
    return folder


def fakes(path: Path | None, tmp_path: Path, **shape: int) -> FolderGenerator:
    return FolderGenerator(
        **({"resolution": 8, "channels": 1, "levels": 256} | shape), path=path, cache_dir=tmp_path / "cache"
    )


def numbers(images: Tensor) -> list[int]:
    return to_uint8(images)[:, 0, 0, 0].tolist()


def test_banks_are_disjoint_and_depend_on_the_seed_alone(tmp_path):
    generator = fakes(fill(tmp_path / "fakes", 150), tmp_path)
    assert not isinstance(generator, TrainableGenerator)
    banks = generator.forge(COUNTS, 1, NO_REALS)
    assert {name: len(bank) for name, bank in banks.items()} == COUNTS
    drawn = [number for bank in banks.values() for number in numbers(bank)]
    assert len(set(drawn)) == len(drawn)
    torch.manual_seed(9)
    again, other = (generator.forge(COUNTS, seed, NO_REALS) for seed in (1, 2))
    assert all(torch.equal(banks[name], again[name]) for name in COUNTS)
    assert numbers(other["test"]) != numbers(banks["test"])


def test_all_banks_shrink_in_proportion_if_images_run_out(tmp_path):
    banks = fakes(fill(tmp_path / "fakes", 60), tmp_path).forge(COUNTS, 1, NO_REALS)
    assert {name: len(bank) for name, bank in banks.items()} == {"train": 20, "validation": 10, "test": 30}
    assert sorted(number for bank in banks.values() for number in numbers(bank)) == list(range(60))


def test_images_are_decoded_like_those_of_the_data(tmp_path):
    folder = tmp_path / "fakes"
    folder.mkdir()
    array = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(array).save(folder / "wide.png")
    for channels in (1, 3):
        forged = fakes(folder, tmp_path, channels=channels).forge({"test": 1}, 0, NO_REALS)["test"]
        as_data = decode_folder("data", folder, 8, channels, tmp_path / "elsewhere").images
        assert torch.equal(to_uint8(forged), as_data)
        assert forged.shape == (1, channels, 8, 8)


def test_images_of_the_same_pixels_count_once(tmp_path, caplog):
    folder = fill(tmp_path / "fakes", 30)
    fill(folder / "again", 10)  # the same ten, in another folder
    Image.open(folder / "007.png").save(folder / "z.bmp")  # and in another format
    with caplog.at_level(logging.WARNING):
        generators = [fakes(folder, tmp_path) for _ in range(3)]
    assert caplog.text.count("11 images of generator.path=") == 1  # once, although each phase builds the generator anew
    banks = generators[2].forge({"train": 15, "test": 15}, 0, NO_REALS)
    assert sorted(numbers(banks["train"]) + numbers(banks["test"])) == list(range(30))
    assert sorted(file.name for file in generators[0].files()) == [f"{k:03d}.png" for k in range(30)]


def test_the_fingerprint_depends_on_the_pixels_alone(tmp_path):
    one, same, other = (fill(tmp_path / name, 5, start=start) for name, start in (("a", 0), ("b", 0), ("c", 1)))
    first, second, third = (fakes(folder, tmp_path).fingerprint() for folder in (one, same, other))
    assert first == second != third


def test_the_provenance_check_reads_its_files(tmp_path):
    real, png, jpeg = (fill(tmp_path / name, 20) for name in ("real", "png", "jpeg"))
    for file in sorted(jpeg.iterdir()):
        Image.open(file).save(file.with_suffix(".jpg"))
        file.unlink()
    alike, different = (
        compare_provenance(sorted(real.iterdir()), fakes(fake, tmp_path).files()) for fake in (png, jpeg)
    )
    assert alike.differences == ()
    assert {line.split(":")[0] for line in different.differences} == {"format", "JPEG tables"}


def test_too_few_images_for_judges_name_the_number_needed(tmp_path):
    too_few, enough = (fakes(fill(tmp_path / str(n), n), tmp_path) for n in (95, 96))
    with pytest.raises(ArenaError, match=r"95: 95 different images, expected at least 96, .* bank.train=40, ban"):
        too_few.check(COUNTS)  # 48 of 60 to be tested
    enough.check(COUNTS)
    assert len(enough.forge(COUNTS, 0, NO_REALS)["test"]) == 48
    enough.check({"train": 10, "validation": 10, "test": 10})


@pytest.mark.parametrize(("name", "message"), [(None, "null: generator=folder needs"), ("nothing", ".*found nothing")])
def test_a_missing_folder_is_named(tmp_path, name, message):
    with pytest.raises(ArenaError, match=rf"^generator\.path={message}"):
        fakes(name and tmp_path / name, tmp_path)


def test_a_race_records_its_fingerprint(tmp_path):
    path = f"generator.path={fill(tmp_path / 'fakes', 200)}"
    race = tiny_arena(tmp_path / "run", path, "race.rounds=0", "access=none", generator="folder")
    assert race.fingerprint in (tmp_path / "run" / "config.yaml").read_text()
