import numpy as np
import pytest
from PIL import Image

from arena.data import provenance as module
from arena.data.provenance import Provenance, compare_provenance, read_headers


def save(folder, n, extension="png", side=16, mode="RGB", **options):
    """n images and their files."""
    folder.mkdir(exist_ok=True)
    files = [folder / f"{k}.{extension}" for k in range(n)]
    for k, file in enumerate(files):
        array = np.random.default_rng(k).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(array).convert(mode).save(file, **options)
    return files


def exif(software):
    tags = Image.Exif()
    tags[305] = software
    return tags


def differences(real, fake):
    return compare_provenance(real, fake).differences


def test_files_stored_alike_do_not_differ(tmp_path):
    real, fake = (save(tmp_path / side, 20, "jpg", quality=80) for side in ("real", "fake"))
    assert compare_provenance(real, fake) == Provenance((), 20, 20)


@pytest.mark.parametrize(
    ("real", "fake", "names"),
    [
        ({"extension": "jpg"}, {"extension": "png"}, {"format", "JPEG tables"}),
        ({"extension": "jpg", "quality": 75}, {"extension": "jpg", "quality": 95}, {"JPEG tables"}),
        ({"side": 16}, {"side": 32}, {"size"}),
        ({"mode": "L"}, {"mode": "RGB"}, {"mode"}),
        ({"extension": "jpg", "exif": exif("lens")}, {"extension": "jpg"}, {"EXIF", "EXIF software"}),
        ({"exif": exif("lens")}, {"exif": exif("GAN")}, {"EXIF software"}),
    ],
    ids=["format", "tables", "size", "mode", "exif", "software"],
)
def test_each_difference_is_one_line(tmp_path, real, fake, names):
    lines = differences(save(tmp_path / "r", 12, **real), save(tmp_path / "f", 12, **fake))
    assert {line.split(":")[0] for line in lines} == names
    assert all("\n" not in line and "100% of the" in line for line in lines)


def test_a_difference_must_be_larger_than_chance_and_than_the_tolerance(tmp_path):
    small, large = save(tmp_path / "s", 60, side=16), save(tmp_path / "l", 60, side=24)
    assert differences(small[:3], large[:3]) == ()  # three of each prove nothing
    assert differences(small[:30] + large[:30], small[30:] + large[30:]) == ()
    assert differences(small, small[:55] + large[:5]) == ()
    (line,) = differences(small, small[:30] + large[:30])
    assert "50%" in line
    assert "100%" in line


def test_varied_sizes_on_both_sides_are_no_difference(tmp_path):
    real = [save(tmp_path / f"r{k}", 1, side=16 + k)[0] for k in range(20)]
    fake = [save(tmp_path / f"f{k}", 1, side=16 + k)[0] for k in range(20)]
    assert differences(real, fake) == ()


def test_the_sample_is_bounded_and_always_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 10)
    files = save(tmp_path / "r", 30) + save(tmp_path / "j", 30, "jpg")
    result = compare_provenance(files, files[:30])
    assert (result.n_real, result.n_fake) == (10, 10)
    assert compare_provenance(files[::-1], files[:30]) == result


def test_no_pixel_is_decoded(tmp_path, monkeypatch):
    files = save(tmp_path / "r", 4, "jpg") + save(tmp_path / "p", 4, "png") + save(tmp_path / "t", 4, "tiff")

    def refuse(*_):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    assert all(read_headers(file) is not None for file in files)


def test_files_that_are_no_images_are_left_out(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    files = [tmp_path / "text.png", *save(tmp_path / "r", 6)]
    assert read_headers(files[0]) is None
    assert compare_provenance(files, files[1:]) == Provenance((), 6, 6)
    assert differences(files[:1], files[1:]) == ()
