import numpy as np
import pytest
from rich.console import Console
from safetensors.torch import save_file

from arena.bank import Bank
from arena.phases.forge import forge, load_generator
from arena.progress import Progress
from arena.records import RecordBook
from tests.building import tiny_arena


def test_the_grid_of_mixed_styles_leaves_the_banks_as_they_were(finished, tmp_path):
    for round in range(finished.rounds + 1):
        generator = load_generator(finished, round)
        alone = generator.forge(finished.bank.counts, finished.seed_of("forge"), finished.generator_reals)
        Bank.of(alone, finished.data.levels).save(tmp_path / "bank.npz")
        assert finished.bank_path(round).read_bytes() == (tmp_path / "bank.npz").read_bytes()


def test_every_round_mixes_the_same_z(finished):
    grids = [np.load(finished.run / "banks" / f"mixing_{round:02d}.npz") for round in range(finished.rounds + 1)]
    banks = [finished.forged(round).test[:5].numpy().astype(float) for round in range(finished.rounds + 1)]
    for name in ("sources", "destinations", "fine"):
        first, last = (grid[name].astype(float) for grid in (grids[0], grids[-1]))
        assert (first != last).any()  # another generator
    # The image of a z changes less from round to round than one z's image differs from another's.
    first, last = (grid["destinations"].astype(float) for grid in (grids[0], grids[-1]))
    assert np.abs(first - last).mean() < np.abs(first - first[::-1]).mean()
    assert not any((grids[0]["sources"][k] == banks[0]).all((1, 2, 3)).any() for k in range(5))


@pytest.mark.parametrize("generator", ["oracle", "dcgan"])
def test_other_generators_have_no_styles_to_mix(run, generator):
    arena = tiny_arena(run, "race.rounds=0", "access=none", generator=generator)
    if generator == "dcgan":
        (arena.folder(0) / "gan").mkdir(parents=True)
        save_file(arena.new_generator().state_dict(), arena.folder(0) / "gan" / "generator.safetensors")
    forge(arena, RecordBook(run), Progress(Console(quiet=True), [], 0.0), 0, "generator")
    assert {path.name for path in (run / "banks").iterdir()} == {"round_00.npz", "reals.npz", "judged.npz"}
