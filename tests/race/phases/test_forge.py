import numpy as np
import pytest
from rich.console import Console
from safetensors.torch import save_file

from arena.answer.humans import judged_by, read_quiz
from arena.answer.runs import read_run
from arena.core.progress import Progress
from arena.race.layout import Bank
from arena.race.phases.forge import forge, load_generator
from arena.records.store import RecordBook
from tests.building import tiny_arena


def test_the_grid_of_mixed_styles_leaves_the_banks_as_they_were(finished, tmp_path):
    for round_index in range(finished.rounds + 1):
        generator = load_generator(finished, round_index)
        alone = generator.forge(finished.bank.counts, finished.seed_of("forge"), finished.generator_reals)
        Bank.of(alone, finished.data.levels).save(tmp_path / "bank.npz")
        assert finished.bank_path(round_index).read_bytes() == (tmp_path / "bank.npz").read_bytes()


def test_every_round_mixes_the_same_z(finished):
    grids = [
        np.load(finished.run / "banks" / f"mixing_{round_index:02d}.npz") for round_index in range(finished.rounds + 1)
    ]
    banks = [finished.forged(round_index).test[:5].numpy().astype(float) for round_index in range(finished.rounds + 1)]
    for name in ("sources", "destinations", "fine"):
        first, last = (grid[name].astype(float) for grid in (grids[0], grids[-1]))
        assert (first != last).any()  # another generator
    # The image of a z changes less from round to round than one z's image differs from another's.
    first, last = (grid["destinations"].astype(float) for grid in (grids[0], grids[-1]))
    assert np.abs(first - last).mean() < np.abs(first - first[::-1]).mean()
    assert not any((grids[0]["sources"][k] == banks[0]).all((1, 2, 3)).any() for k in range(5))


def test_images_are_kept_for_people_as_the_judges_see_them(finished):
    """Of both classes, by the ids of their scores: so the quiz can set the judges' scores beside theirs."""
    with np.load(finished.run / "banks" / "judged.npz") as arrays:
        kept = dict(arrays)
    assert len(kept["reals"]) == len(kept["fakes"]) == 64
    assert set(kept["real_ids"]) <= set(finished.judge_reals.ids)
    for images, raw in (
        (kept["reals"], finished.data.reals[kept["real_ids"]].images),
        (kept["fakes"], finished.forged(finished.rounds).test[kept["fake_ids"]]),
    ):
        np.testing.assert_array_equal(images, finished.evidence.seen(raw).numpy())
    run = read_run(finished.run)
    quiz = read_quiz(run)
    assert quiz is not None
    assert set(judged_by(run, quiz)) == set(finished.techniques) - {"bag"}


def test_what_people_see_came_down_the_evidence_path(run):
    """Reals of a codec against fakes of none would be told apart by the codec."""
    race = tiny_arena(run, "race.rounds=0", "access=none", "evidence=jpeg", generator="oracle")
    forge(race, RecordBook(run), Progress(Console(quiet=True), [], 0.0), 0, "generator")
    with np.load(run / "banks" / "judged.npz") as arrays:
        kept = dict(arrays)
    bank = race.forged(0)
    for images, raw in (
        (kept["reals"], race.data.reals[kept["real_ids"]].images),
        (kept["fakes"], bank.test[kept["fake_ids"]]),
    ):
        assert (images != raw.numpy()).any()
        np.testing.assert_array_equal(images, race.evidence.seen(raw).numpy())


def test_only_the_last_rounds_images_are_kept_for_people(run):
    race = tiny_arena(run, "race.rounds=1")
    (race.folder(0) / "gan").mkdir(parents=True)
    save_file(race.new_generator().state_dict(), race.folder(0) / "gan" / "generator.safetensors")
    forge(race, RecordBook(run), Progress(Console(quiet=True), [], 0.0), 0, "generator")
    assert not (run / "banks" / "judged.npz").exists()


@pytest.mark.parametrize("generator", ["oracle", "dcgan"])
def test_other_generators_have_no_styles_to_mix(run, generator):
    race = tiny_arena(run, "race.rounds=0", "access=none", generator=generator)
    if generator == "dcgan":
        (race.folder(0) / "gan").mkdir(parents=True)
        save_file(race.new_generator().state_dict(), race.folder(0) / "gan" / "generator.safetensors")
    forge(race, RecordBook(run), Progress(Console(quiet=True), [], 0.0), 0, "generator")
    assert {path.name for path in (run / "banks").iterdir()} == {"round_00.npz", "reals.npz", "judged.npz"}
