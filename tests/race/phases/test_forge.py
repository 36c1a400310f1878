import numpy as np
import pytest

from arena.answer.humans import judged_by, read_quiz
from arena.answer.runs import read_run
from arena.core.tensors import save_module
from arena.race.checkpoints import Bank, load_bank, load_generator
from arena.race.phases.fakes import forge
from tests.building import tiny_arena


def test_the_grid_of_mixed_styles_does_not_change_the_banks(finished, tmp_path):
    for round_index in range(finished.rounds + 1):
        generator = load_generator(finished, round_index)
        alone = generator.forge(finished.bank.counts, finished.seed_of("forge"), finished.generator_reals)
        Bank.of(alone, finished.data.levels).save(tmp_path / "bank.npz")
        assert finished.layout.bank(round_index).read_bytes() == (tmp_path / "bank.npz").read_bytes()


def test_every_round_mixes_the_same_z(finished):
    grids = [np.load(finished.layout.mixing(round_index)) for round_index in range(finished.rounds + 1)]
    banks = [
        load_bank(finished, round_index).test[:5].numpy().astype(float) for round_index in range(finished.rounds + 1)
    ]
    for name in ("sources", "destinations", "fine"):
        first, last = (grid[name].astype(float) for grid in (grids[0], grids[-1]))
        assert (first != last).any()  # another generator
    # From round to round, images of one z are more alike than images of two.
    first, last = (grid["destinations"].astype(float) for grid in (grids[0], grids[-1]))
    assert np.abs(first - last).mean() < np.abs(first - last[::-1]).mean()
    assert not any((grids[0]["sources"][k] == banks[0]).all((1, 2, 3)).any() for k in range(5))


def test_images_are_kept_for_the_quiz_as_the_judges_see_them(finished):
    """Images of both classes have the ids of their scores, so that answers of people compare with judges."""
    with np.load(finished.layout.judged) as arrays:
        kept = dict(arrays)
    assert len(kept["reals"]) == len(kept["fakes"]) == 64
    assert set(kept["real_ids"]) <= set(finished.judge_reals.ids)
    for images, raw in (
        (kept["reals"], finished.data.reals[kept["real_ids"]].images),
        (kept["fakes"], load_bank(finished, finished.rounds).test[kept["fake_ids"]]),
    ):
        np.testing.assert_array_equal(images, finished.evidence.seen(raw).numpy())
    run = read_run(finished.run)
    quiz = read_quiz(run)
    assert quiz is not None
    assert set(judged_by(run, quiz)) == set(finished.techniques) - {"bag"}


def test_the_images_of_the_quiz_took_the_evidence_path(run):
    """Otherwise compression alone would separate reals from fakes."""
    race = tiny_arena(run, "race.rounds=0", "access=none", "evidence=jpeg", generator="oracle")
    forge(race, 0)
    with np.load(race.layout.judged) as arrays:
        kept = dict(arrays)
    bank = load_bank(race, 0)
    for images, raw in (
        (kept["reals"], race.data.reals[kept["real_ids"]].images),
        (kept["fakes"], bank.test[kept["fake_ids"]]),
    ):
        assert (images != raw.numpy()).any()
        np.testing.assert_array_equal(images, race.evidence.seen(raw).numpy())


def test_only_images_of_the_last_round_are_kept_for_the_quiz(run):
    race = tiny_arena(run, "race.rounds=1")
    save_module(race.new_generator(), race.layout.generator(0))
    forge(race, 0)
    assert not (race.layout.judged).exists()


@pytest.mark.parametrize("generator", ["oracle", "dcgan"])
def test_other_generators_have_no_grid_of_mixed_styles(run, generator):
    race = tiny_arena(run, "race.rounds=0", "access=none", generator=generator)
    if generator == "dcgan":
        save_module(race.new_generator(), race.layout.generator(0))
    forge(race, 0)
    assert {path.name for path in (run / "banks").iterdir()} == {"round_00.npz", "reals.npz", "judged.npz"}
