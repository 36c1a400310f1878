"""Images changed after the fact: the network that learns to, the bound of what it changes, and its sources."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor, nn

from arena import __version__
from arena.answer.runs import read_run
from arena.core.errors import ArenaError
from arena.data.reals import Reals
from arena.generators.folder import FolderGenerator
from arena.generators.launder import LaunderGenerator
from arena.imaging.evidence import Evidence
from arena.imaging.images import ImageShape, to_uint8
from arena.race.case import Case, cut_fold, fakes_of_judges
from arena.race.checkpoints import load_bank, load_generator
from arena.race.gan_monitor import new_gan
from arena.race.loop import carry_out
from arena.race.race import Race
from tests.building import tiny_arena
from tests.generators.test_folder import COUNTS, fill, numbers

NO_REALS = Reals(torch.empty(0, 1, 8, 8, dtype=torch.uint8), np.empty(0, np.int64))
SHAPE: ImageShape = {"resolution": 8, "channels": 1, "levels": 256}
NO_WARM_UP = ("schedule.warm_up_images=0", "race.rounds=1", "access=white_box", "data.resolution=8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("images") / "fakes", 150)


def laundering(path: Path, distortion: int = 2, trained: bool = False) -> LaunderGenerator:
    """A new network, or one that changes images as much as it can."""
    torch.manual_seed(0)
    cache = path.parent / "cache"
    generator = LaunderGenerator(**SHAPE, path=path, run=None, cache_dir=cache, distortion=distortion, width=8)
    if trained:
        nn.init.normal_(generator.change.last.get_parameter("weight"), std=30)
    return generator


def plain(path: Path) -> FolderGenerator:
    return FolderGenerator(**SHAPE, path=path, cache_dir=path.parent / "cache")


def test_a_new_network_gives_the_images_of_the_folder_in_the_banks_of_that_folder(folder: Path) -> None:
    ours, theirs = (each.forge(COUNTS, 5, NO_REALS) for each in (laundering(folder), plain(folder)))
    assert all(torch.equal(to_uint8(ours[name]), to_uint8(theirs[name])) for name in COUNTS)
    drawn = [number for bank in ours.values() for number in numbers(bank)]
    assert len(set(drawn)) == len(drawn) == sum(COUNTS.values())


def test_banks_shrink_with_the_folder_and_too_small_a_folder_is_refused(tmp_path: Path) -> None:
    generator = laundering(fill(tmp_path / "fakes", 60))
    banks = generator.forge(COUNTS, 1, NO_REALS)
    assert {name: len(bank) for name, bank in banks.items()} == {"train": 20, "validation": 10, "test": 30}
    with pytest.raises(ArenaError, match=r"generator.path=.*: 60 different images, expected at least 96"):
        generator.check(COUNTS)


@settings(max_examples=30, deadline=None)
@given(distortion=st.integers(1, 8), seed=st.integers(0, 2**31))
def test_no_pixel_moves_further_than_the_bound_before_and_after_rounding(
    folder: Path, distortion: int, seed: int
) -> None:
    generator = laundering(folder, distortion, trained=True)
    z, rng = torch.randn(16, 1, generator=torch.Generator().manual_seed(seed)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        before, after = generator.source(z), generator(z, rng)
    assert after.abs().max() <= 1
    grey = (after - before).abs() * 127.5
    assert 0.9 * distortion < grey.max() <= distortion + 1e-3
    seen = [((image + 1) * 127.5).round() for image in (Evidence()(before), Evidence()(after))]
    assert (seen[1] - seen[0]).abs().max() == distortion


def test_the_bound_holds_under_autocast(folder: Path) -> None:
    generator, z = laundering(folder, 8, trained=True), torch.randn(16, 1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        change = (generator(z, torch.Generator()) - generator.source(z)).abs() * 127.5
    assert change.max() <= 8 + 1e-3


def test_standard_normal_z_choose_all_images_equally_often(folder: Path) -> None:
    source = laundering(folder).source
    z = torch.randn(60_000, 1, generator=torch.Generator().manual_seed(1))
    chosen = torch.bincount(torch.tensor(numbers(source(z))), minlength=150)
    expected = 400
    assert ((chosen - expected) ** 2 / expected).sum() < 217  # chi-squared of 149 degrees of freedom, p = 0.0002
    assert source(torch.tensor([[-40.0], [40.0]])).shape == (2, 1, 8, 8)


def test_the_noise_is_drawn_from_the_given_stream_and_is_none_without(folder: Path) -> None:
    generator, z = laundering(folder, trained=True).eval(), torch.randn(4, 1)

    def images(seed: int | None) -> Tensor:
        with torch.no_grad():
            return generator(z, None if seed is None else torch.Generator().manual_seed(seed))

    assert torch.equal(images(1), images(1))
    assert not torch.equal(images(1), images(2))
    assert torch.equal(images(None), images(None))


def test_gradients_reach_the_last_layer_at_once_and_all_layers_after_a_step(folder: Path) -> None:
    generator, z = laundering(folder), torch.randn(4, 1)
    Evidence()(generator.draw(z, torch.Generator())).square().sum().backward()
    last = generator.change.last.get_parameter("weight")
    assert last.grad is not None
    assert last.grad.any()
    nn.init.normal_(last)
    Evidence()(generator.draw(z, torch.Generator())).square().sum().backward()
    assert all(value.grad is not None and value.grad.any() for value in generator.parameters())


def test_the_fingerprint_and_files_are_those_of_the_images(folder: Path, tmp_path: Path) -> None:
    other = laundering(fill(tmp_path / "other", 150, start=1))
    ours = laundering(folder)
    assert ours.fingerprint() == plain(folder).fingerprint() != other.fingerprint()
    assert ours.files() == plain(folder).files()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), r"generator.path=null: expected a folder of images, or null and a run"),
        (("generator.path=fakes", "generator.run=run"), r"generator.path=fakes: expected .* not both"),
        (("generator.run=nothing",), r"nothing: expected the directory of a run"),
        (("generator.path=nothing",), r"generator.path=nothing: expected a folder"),
        (("generator.path={folder}", "generator.distortion=17"), r"generator.distortion=17: expected less than"),
        (("generator.path={folder}", "generator.distortion=0.5"), r"generator.distortion=0.5: expected a whole number"),
    ],
)
def test_an_impossible_setting_is_named(folder: Path, tmp_path: Path, overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ArenaError, match=message):
        tiny_arena(tmp_path / "run", *(text.format(folder=folder) for text in overrides), generator="launder")


def test_only_a_generator_made_from_files_goes_without_a_warm_up(folder: Path, tmp_path: Path) -> None:
    tiny_arena(tmp_path / "a", f"generator.path={folder}", *NO_WARM_UP, generator="launder")
    with pytest.raises(ArenaError, match=r"schedule.warm_up_images=0: expected at least one batch"):
        tiny_arena(tmp_path / "b", "schedule.warm_up_images=0")


# In a race.


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Race:
    """A whole race on a folder, without a warm-up."""
    place = tmp_path_factory.mktemp("raced")
    path = f"generator.path={fill(place / 'fakes', 200)}"
    race = tiny_arena(place / "run", path, *NO_WARM_UP, "objective=relative", "pool=live", generator="launder")
    carry_out(race, Console(quiet=True))
    return race


@pytest.mark.slow
def test_round_0_is_the_images_as_they_are_and_each_later_image_is_near_its_own(raced: Race) -> None:
    # The images are those of the digits' 17 levels after rounding.
    before, after = load_bank(raced, 0), load_bank(raced, 1)
    images = raced.new_generator().forge(raced.bank.counts, raced.seed_of("forge"), raced.generator_reals)
    assert torch.equal(before.test, to_uint8(images["test"]))
    change = (after.test.float() - before.test.float()).abs() / (255 / 16)
    assert 0 < change.max() <= 2 + 0.1
    assert read_run(raced.run).declared.last_round == 1


@pytest.mark.slow
def test_no_judge_learns_from_the_image_that_it_is_tested_on_nor_from_the_reals_of_its_opponents(raced: Race) -> None:
    bank = load_bank(raced, 0)
    case = Case.of(raced, bank.test, fakes_of_judges(raced, bank, 0, [0]), 0)
    images = [image.numpy().tobytes() for image in case.gallery.seen]
    for number in range(raced.judge.folds):
        fold = cut_fold(raced, case, 0, number, 1.0)
        learned, tested = ({images[k] for k in places} for places in (fold.learn[1], fold.test[1]))
        assert len(tested) > 0
        assert not tested & (learned | {images[k] for k in fold.stop[1]})
    assert not np.isin(case.reals.ids, raced.data.part("detector").ids).any()


@pytest.mark.slow
def test_the_images_of_a_run_pass_its_frozen_generator(finished: Race, tmp_path: Path) -> None:
    overrides = (f"generator.run={finished.run}", "schedule.warm_up_images=0", "race.rounds=1")
    race = tiny_arena(tmp_path / "run", *overrides, generator="launder")
    ours, theirs = race.new_generator(), load_generator(finished, finished.rounds)
    assert isinstance(ours, LaunderGenerator)
    assert not race.finite
    z = torch.randn(5, ours.z_dim)
    expected = Evidence(levels=17)(theirs(z))  # pyright: ignore[reportCallIssue]
    with torch.no_grad():
        torch.testing.assert_close(ours(z), expected)
    gan = new_gan(race, ours, seed=0)
    frozen = {name: value.clone() for name, value in ours.source.state_dict().items()}
    race.machine.fit(gan, range(3))
    assert all(torch.equal(value, frozen[name]) for name, value in gan.generator.source.state_dict().items())  # pyright: ignore
    assert ours.change.last.get_parameter("weight").any()
    assert not ours.source.training


@pytest.mark.slow
def test_a_run_on_another_split_is_refused_and_what_it_attacked_is_known(finished: Race, tmp_path: Path) -> None:
    overrides = (f"generator.run={finished.run}", "schedule.warm_up_images=0")
    with pytest.raises(ArenaError, match=r"generator.run=.*: expected a run with data.seed=1, found data.seed=0"):
        tiny_arena(tmp_path / "other", *overrides, "data.seed=1", generator="launder")
    tiny_arena(tmp_path / "run", *overrides, generator="launder")
    attacked = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["start_attacked"]
    origin = read_run(finished.run)
    assert attacked == [name for name in origin.declared.techniques if origin.has_attacked(name)] != []


@pytest.mark.parametrize("target", ["os.system", "tests.generators.foreign.Net", "arena.generators.controls.Oracle"])
def test_a_run_may_name_no_other_class_than_a_generator_of_arena(tmp_path: Path, target: str) -> None:
    images = {"resolution": 8, "channels": 1, "levels": 17}
    environment = {"arena_version": __version__}
    config = {"generator": {"_target_": target, "command": "true"}, "images": images, "environment": environment}
    (tmp_path / "origin").mkdir()
    (tmp_path / "origin" / "config.yaml").write_text(yaml.safe_dump(config))
    expected = r"(is code from outside of arena|expected TrainableGenerator)"
    with pytest.raises(ArenaError, match=expected):
        tiny_arena(tmp_path / "run", f"generator.run={tmp_path / 'origin'}", generator="launder")
