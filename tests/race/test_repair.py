"""Damaged files of a race are made again by their phases, and come out as they were recorded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from arena.core.errors import ArenaError
from arena.race.loop import carry_out, is_finished
from arena.race.race import Race
from arena.records.integrity import damaged_files, recorded_files
from arena.records.store import read_records
from tests.building import FINISHED, tiny_arena
from tests.race.test_resume import differing

pytestmark = pytest.mark.slow


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


@pytest.fixture
def copy(finished: Race, run: Path) -> Race:
    """A copy of the finished race with a cache of its own."""
    shutil.copytree(finished.run, run)
    shutil.copytree(finished.cache, run.parent / "cache")
    return tiny_arena(run, *FINISHED)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("banks/round_01.npz", flip),
        ("banks/reals.npz", Path.unlink),
        ("checkpoints/round_00/gan/optimizers.safetensors", flip),
        ("checkpoints/round_01/gan/gan.safetensors", cut),
        ("checkpoints/round_02/gan/generator.safetensors", Path.unlink),
        ("checkpoints/round_01/detectors/cnn.safetensors", flip),
        ("checkpoints/round_01/gan/curve.jsonl", cut),
    ],
)
def test_a_damaged_file_is_made_again(
    finished: Race, copy: Race, name: str, damage: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    damage(copy.run / name)
    assert not is_finished(copy)
    carry_out(copy, Console())
    assert f"{copy.run / name}: damaged or missing" in " ".join(capsys.readouterr().out.split())
    assert is_finished(copy)
    assert damaged_files(copy.run, read_records(copy.run)) == []
    assert differing(copy.run, finished.run) == []


def test_scores_and_lines_are_made_again(finished: Race, copy: Race) -> None:
    scores = sorted(name for name in recorded_files(read_records(copy.run)) if name.startswith("scores/"))
    flip(copy.run / scores[0])
    (copy.run / scores[-1]).unlink()
    records = copy.run / "records.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if '"kind": "quality"' in line)
    changed = json.loads(lines[place]) | {"kernel_distance": 0.0}
    records.write_text("".join([*lines[:place], json.dumps(changed) + "\n", *lines[place + 1 :]]))
    assert not is_finished(copy)
    carry_out(copy, Console(quiet=True))
    assert is_finished(copy)
    assert differing(copy.run, finished.run) == []


def test_the_cached_warm_up_is_checked_too(finished: Race, copy: Race) -> None:
    (cached,) = (path for path in (copy.cache / "warm_up").iterdir() if path.is_dir())
    flip(cached / "gan.safetensors")
    shutil.rmtree(copy.run / "checkpoints" / "round_00" / "gan")
    carry_out(copy, Console(quiet=True))
    assert differing(copy.run, finished.run) == []


def test_what_comes_out_differently_is_refused(copy: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on another machine, whose last digits differ."""
    seed_of = Race.seed_of

    def other_machine(race: Race, purpose: str, round_index: int = 0, player: str = "") -> int:
        return seed_of(race, purpose, round_index, player) + (purpose == "forge")

    monkeypatch.setattr(Race, "seed_of", other_machine)
    (copy.run / "banks" / "round_01.npz").unlink()
    with pytest.raises(ArenaError, match=r"forge of round 1 was run again, since .*, and came out differently"):
        carry_out(copy, Console(quiet=True))
