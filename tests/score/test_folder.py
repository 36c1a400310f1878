"""Score folders of images with a run's detectors, through the command."""

import csv
import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from arena.detectors.gallery import score
from arena.race.checkpoints import load_bank, load_battery
from arena.race.loop import carry_out
from arena.score.folder import DetectorEnsemble
from tests.building import command, tiny_arena

pytestmark = pytest.mark.slow

BAD = {"empty.png": b"", "text.jpg": b"no image", "torn.png": None, "page.gif": b"GIF89a"}
SMALL = ("~battery.members.cnn", "~battery.members.spectrum", "~battery.members.forest", "race.rounds=0", "access=none")
"""A race without loop, with one detector besides those that a test adds."""

main = command("score")


@pytest.fixture
def folder(tmp_path, finished):
    """Twenty images, half of them in a subfolder, and bad files of several kinds."""
    (tmp_path / "images" / "below").mkdir(parents=True)
    for k, image in enumerate(finished.judge_reals.images[:20, 0].numpy()):
        place = tmp_path / "images" / ("below" if k % 2 else "") / f"{k:02d}.png"
        Image.fromarray(image).save(place)
    for name, content in BAD.items():
        torn = (tmp_path / "images" / "00.png").read_bytes()[:40]
        (tmp_path / "images" / name).write_bytes(torn if content is None else content)
    return tmp_path / "images"


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_images_give_rows_and_bad_files_give_notes(finished, folder, capsys):
    assert main([str(finished.run), str(folder)]) == 0
    printed = capsys.readouterr()
    table = rows(printed.out)
    assert len(table) == 20
    assert [*table[0]] == ["path", *finished.techniques]
    assert {row["path"] for row in table} >= {"00.png", "below/01.png"}
    assert all(0 <= float(row[name]) <= 1 for row in table for name in finished.techniques)
    skipped = [line for line in printed.err.splitlines() if line.startswith("skipped ")]
    assert {line.split()[1].rstrip(":") for line in skipped} == set(BAD)
    assert "20 images scored by the detectors of round 2, 4 files skipped" in printed.err
    assert "as many are fake as real" in printed.err


def test_probabilities_are_those_of_the_detectors_in_the_loop(finished):
    """Probabilities have the order of the logits, and those of the run's fakes are higher."""
    ensemble = DetectorEnsemble.load(finished.run)
    reals, fakes = finished.judge_reals.images[:60], load_bank(finished, 2).test[:60]
    table = {name: ensemble.probabilities(images) for name, images in (("real", reals), ("fake", fakes))}
    detectors, _ = load_battery(finished, 2)
    for k, technique in enumerate(finished.members):
        logits = score(detectors[technique], reals, finished.evidence)
        order = torch.argsort(logits)
        assert (table["real"][order, k].diff() > -1e-12).all()  # equal logits may differ in the last digit
    stack = ensemble.columns.index("stack")
    assert table["fake"][:, stack].mean() > table["real"][:, stack].mean()


def test_the_round_chooses_the_detectors(finished, folder, capsys):
    texts = []
    for arguments in ([], ["--round", "0"], ["--round", "2"]):
        assert main([str(finished.run), str(folder), *arguments]) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[2] != texts[1]


def test_skipped_techniques_have_no_column_and_gan_aware_detectors_use_the_runs_gan(run, folder, capsys):
    added = ("+detector@battery.members.lgrad=lgrad", "+detector@battery.members.colour=colour")
    carry_out(tiny_arena(run, *added, *SMALL), Console(quiet=True))
    assert main([str(run), str(folder)]) == 0
    table = rows(capsys.readouterr().out)
    assert [*table[0]] == ["path", "dct", "lgrad", "stack"]
    assert len({row["lgrad"] for row in table}) > 5


def test_images_smaller_than_the_runs_are_reported(finished, tmp_path, capsys):
    Image.fromarray(np.full((5, 5), 99, dtype=np.uint8)).save(tmp_path / "small.png")
    assert main([str(finished.run), str(tmp_path)]) == 0
    assert "1 images are smaller than 8 pixels and were enlarged" in capsys.readouterr().err


def test_errors_are_one_line_and_exit_code_2(finished, folder, tmp_path, capsys):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"")
    (tmp_path / "nothing").mkdir()
    for arguments, message in (
        ([tmp_path, folder], "expected"),
        ([finished.run, tmp_path / "missing"], "missing: expected a folder of images, found nothing"),
        ([finished.run, tmp_path / "nothing"], "expected images, found none"),
        ([finished.run, tmp_path / "bad"], "expected images, found none that could be read among 1 files"),
        ([finished.run, folder, "--round", "7"], "--round=7: expected a round of"),
    ):
        assert main([*map(str, arguments)]) == 2
        line = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("skipped ")]
        assert len(line) == 1
        assert line[0].startswith("arena: ")
        assert message in line[0]


def test_a_torn_checkpoint_is_refused(run, finished, capsys, folder):
    race = tiny_arena(run, "race.rounds=0", "access=none", "battery.stack=null", generator="oracle")
    carry_out(race, Console(quiet=True))
    path = run / "checkpoints" / "round_00" / "detectors" / "dct.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    assert main([str(run), str(folder)]) == 2
    assert "dct.safetensors: expected the file that the records name" in capsys.readouterr().err
    (run / "records.jsonl").unlink()
    assert main([str(run), str(folder)]) == 2
    assert "dct.safetensors: expected safetensors of this network" in capsys.readouterr().err
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("generator", ["dcgan", "style"])
def test_images_go_down_the_runs_own_evidence_path(run, folder, capsys, generator):
    inversion = "+detector@battery.members.inversion=inversion"
    race = tiny_arena(run, inversion, *SMALL, "evidence.levels=5", generator=generator)
    carry_out(race, Console(quiet=True))
    ensemble = DetectorEnsemble.load(run)
    assert ensemble.evidence.levels == 5
    assert main([str(run), str(folder)]) == 0
    table = rows(capsys.readouterr().out)
    expected = ensemble.probabilities(race.judge_reals.images[:1])[0].tolist()
    assert [float(table[0][name]) for name in ensemble.columns] == pytest.approx(expected, abs=1e-4)


def test_a_detector_that_is_not_as_it_was_recorded_is_refused(finished, folder, tmp_path, capsys):
    """A flipped bit leaves the file readable, and changes scores."""
    copy = tmp_path / "copy"
    shutil.copytree(finished.run, copy)
    path = copy / "checkpoints" / "round_02" / "detectors" / "cnn.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert main([str(copy), str(folder)]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("skipped ")]
    assert "cnn.safetensors: expected the file that the records name" in line
    assert main([str(copy), str(folder), "--round", "1"]) == 0
    (copy / "records.jsonl").unlink()  # where the weights were copied alone, nothing is known of them
    assert main([str(copy), str(folder)]) == 0
