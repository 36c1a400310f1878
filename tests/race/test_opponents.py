"""The opponents of a response: which images live detectors see, and that a killed response resumes."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from torch import Tensor

from arena.core.errors import ArenaError
from arena.core.progress import Progress
from arena.imaging.images import to_float
from arena.race.forecast import seconds_of_race
from arena.race.gan_monitor import GanMonitor, train_gan
from arena.race.loop import carry_out
from arena.race.opponents import opponents
from arena.race.phases.detectors import LoopReals
from arena.race.race import Race
from arena.records.schema import TrainingRecord
from arena.training.gan import GanTraining
from arena.training.opponents.black_box import Student
from arena.training.opponents.combined import Together
from arena.training.opponents.frozen import FrozenOpponents
from arena.training.opponents.kernel import KernelOpponents
from arena.training.opponents.live import LiveOpponents
from arena.training.opponents.networks import RandomNetwork
from tests.building import FINISHED, tiny_arena

LIVE = ("pool=live", "objective=relative")
INTERVAL, BATCH = 64, 16


def live_of(race: Race, round_index: int) -> LiveOpponents:
    found = opponents(race, round_index)
    assert isinstance(found, LiveOpponents)
    return found


def beside(finished: Race, run: Path, *overrides: str) -> Race:
    """A race with live opponents, in a copy of what a finished race has left."""
    shutil.copytree(finished.run, run)
    (run / "config.yaml").unlink()
    return tiny_arena(run, *FINISHED, *LIVE, *overrides)


@pytest.mark.parametrize(("access", "part"), [("white_box", "detector"), ("other_reals", "generator")])
def test_live_detectors_see_the_reals_of_generator_and_loop_and_no_judge_real(
    finished: Race, run: Path, access: str, part: str
):
    race = beside(finished, run, f"access={access}")
    found, loop = live_of(race, 1), LoopReals.of(race)
    learned, measured = known(found.reals.seen), known(found.validation.seen)
    assert torch.equal(found.validation.seen, race.evidence.seen(loop.validation.images))
    own = known(race.evidence.seen(race.data.part("generator").images))
    assert learned | measured == own | known(race.evidence.seen(loop.whole.images))
    assert learned.isdisjoint(measured)
    assert known(loop.whole.images) <= known(race.data.part(part).images)
    seen = learned | measured
    only_judges = known(race.evidence.seen(race.judge_reals.images)) - known(
        torch.cat([race.data.part(name).images for name in ("detector", "generator")])
    )
    assert only_judges
    assert not seen & only_judges


def known(images: Tensor) -> set[bytes]:
    """The images as a set."""
    return {image.numpy().tobytes() for image in images}


def test_each_attacked_technique_has_a_detector_that_continues_and_one_that_is_new(finished: Race, run: Path):
    race = beside(finished, run, "access.held_out=[dct]")
    found = live_of(race, 1)
    assert [each.technique for each in found.detectors] == ["cnn", "spectrum", "cnn", "spectrum"]
    continued, renewed = found.detectors[0].network, found.detectors[2].network
    of_loop = load_file(race.layout.detector(1, "cnn"))
    assert all(torch.equal(value, continued.state_dict()[f"detector.{name}"]) for name, value in of_loop.items())
    assert not torch.equal(renewed.state_dict()["detector.network.stem.weight"], of_loop["network.stem.weight"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides", [(), ("access=everything", "access.queries=100", "objective=relative_kernel", "weighting=hedge")]
)
def test_a_killed_live_response_resumes_to_the_bit(
    finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
):
    short = (f"schedule.evaluate_images={INTERVAL}", "pool.renew_images=96", "pool.head_start=3")
    race = beside(finished, run, *short, *overrides)

    def respond(name: str) -> Path:
        target = run / name
        train_gan(
            race,
            4 * INTERVAL,
            partial=run / f"{name}.partial",
            target=target,
            progress=Progress(),
            source=race.layout.gan(1),
            round_index=1,
            opponents=opponents(race, 1),
        )
        return target

    whole = respond("whole")
    look = GanMonitor.__call__

    class Killed(BaseException):
        pass

    def killed(self: GanMonitor, gan: GanTraining, before: list[TrainingRecord]) -> TrainingRecord:
        if gan.step > 2 * INTERVAL // BATCH:
            raise Killed
        return look(self, gan, before)

    with monkeypatch.context() as patched:
        patched.setattr(GanMonitor, "__call__", killed)
        with pytest.raises(Killed):
            respond("resumed")
    assert (run / "resumed.partial" / "opponents.pt").is_file()
    resumed = respond("resumed")
    for file in ("generator.safetensors", "gan.safetensors"):
        assert (whole / file).read_bytes() == (resumed / file).read_bytes()
    assert not (whole / "opponents.pt").exists()  # the next phase has new ones


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [LIVE, ("pool=live", "access=everything", "objective=relative_kernel")])
def test_a_whole_race_with_live_opponents_is_forecast_and_carried_out(run: Path, overrides: tuple[str, ...]):
    race = tiny_arena(run, *overrides)
    assert seconds_of_race(race, beside=False) > 0
    carry_out(race, Console(quiet=True))
    assert race.layout.gan(1).exists()


def test_random_networks_are_as_many_as_the_techniques_and_know_none(finished: Race, run: Path):
    found = live_of(beside(finished, run, "access=random"), 1)
    assert [each.technique for each in found.detectors] == 2 * ["cnn", "dct", "spectrum", "forest", "stack"]
    assert all(isinstance(each.network, RandomNetwork) for each in found.detectors)
    filters = {dict(each.network.named_buffers())["network.filters"].numpy().tobytes() for each in found.detectors}
    assert len(filters) == len(found.detectors)
    race = tiny_arena(run.with_name("other"), *LIVE, "access=random")
    assert {race.access_to(technique) for technique in race.techniques} == {"none"}


def test_access_to_everything_has_live_heads_on_features_without_a_gradient(finished: Race, run: Path):
    race = beside(finished, run, "access=everything")
    levels = {technique: race.access_to(technique) for technique in race.techniques}
    assert levels == {
        "cnn": "gradients",
        "dct": "gradients",
        "spectrum": "features",
        "forest": "features",
        "stack": "scores",
    }
    found = live_of(race, 1)
    assert {each.technique for each in found.detectors} == {*race.members, "stack"}
    assert {each.technique for each in found.detectors if isinstance(each.network, Student)} == {"stack"}
    frozen = tiny_arena(run.with_name("frozen"), "access=everything")
    assert frozen.access_to("forest") == "none"


@pytest.mark.parametrize("access", ["everything", "random", "scores"])
def test_a_technique_that_is_held_out_is_held_out_of_the_stack_too(finished: Race, run: Path, access: str):
    """The answers of the stack depend on all of its members."""
    race = beside(finished, run, f"access={access}", "access.held_out=[cnn]")
    assert (race.access_to("cnn"), race.access_to("stack")) == ("none", "none")
    assert race.attacked == ["dct", "spectrum", "forest"]
    assert {each.technique for each in live_of(race, 1).detectors} == {*race.attacked}


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            (*LIVE, "access=equal_norm"),
            "access=equal_norm: expected pool=all, last or mixture and objective=fool or match",
        ),
        (("access=random",), "access=random: expected pool=live, since random critics have to learn"),
        (("access=scores",), "access=scores: expected pool=live and a technique that is not held out, or access=none"),
        ((*LIVE, "access=labels", "access.queries=0"), "access.queries=0: expected at least 1: images to submit"),
        (("objective=kernel", "access=equal_norm"), "access=equal_norm: expected one that knows features"),
        (
            ("objective=kernel", "access=everything", "pool=live"),
            "objective=kernel: expected objective=relative_kernel, or pool=all",
        ),
        (("objective=relative_kernel",), "objective=relative_kernel: expected pool=live"),
        (("weighting=hedge", "access=white_box"), "weighting=hedge: expected pool=live, or weighting=uniform"),
    ],
)
def test_an_access_that_a_pool_cannot_give_is_refused(run: Path, overrides: tuple[str, ...], expected: str):
    with pytest.raises(ArenaError, match=expected):
        tiny_arena(run, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [("access=scores",), ("access=features", "access.held_out=[spectrum,forest]")],
)
def test_without_features_that_can_be_matched_live_detectors_alone_pull(
    finished: Race, run: Path, overrides: tuple[str, ...]
):
    race = beside(finished, run, "objective=relative_kernel", *overrides)
    assert isinstance(opponents(race, 1), LiveOpponents)


def test_random_critics_match_as_many_features_and_know_none(finished: Race, run: Path):
    found = dict[str, KernelOpponents]()
    for access in ("everything", "random"):
        race = beside(finished, run / access, "objective=relative_kernel", f"access={access}")
        both = opponents(race, 1)
        assert isinstance(both, Together)
        assert isinstance(both.parts["features"], KernelOpponents)
        found[access] = both.parts["features"]
    assert {race.access_to(technique) for technique in race.techniques} == {"none"}
    names = ["cnn", "dct", "spectrum", "forest"]
    assert list(found["random"].techniques) == list(found["everything"].techniques) == names
    seen = finished.evidence(to_float(finished.generator_reals.images[:8])).requires_grad_()
    features = [found["random"].techniques[name].features(seen, torch.Generator()) for name in names]
    assert {each.shape for each in features} == {(8, 32)}
    assert all(not torch.equal(one, other) for one, other in pairwise(features))
    for each in features:
        assert torch.autograd.grad(each.sum(), seen)[0].any()


@pytest.mark.parametrize("level", ["scores", "labels"])
def test_answers_alone_are_learned_from_the_generators_own_images_within_the_budget(
    finished: Race, run: Path, level: str
):
    race = beside(finished, run, f"access={level}", "access.queries=40")
    found = live_of(race, 1)
    assert {race.access_to(technique) for technique in race.techniques} == {level}
    assert all(isinstance(each.network, Student) for each in found.detectors)
    seen = known(torch.cat([found.reals.seen, found.validation.seen]))
    assert seen <= known(race.evidence.seen(race.data.part("generator").images))
    fakes = race.evidence(to_float(race.data.part("generator").images[:16]))
    for step in range(3):
        found.pull(fakes, fakes, torch.Generator().manual_seed(step))
    asked = [box.asked for box in found.black_boxes.values()]
    assert asked == [40] * len(race.techniques)
    assert found.meter.spent.queries == 40 * len(race.techniques)


def test_published_features_are_learned_by_new_networks_alone(finished: Race, run: Path):
    race = beside(finished, run, "access=features")
    levels = {technique: race.access_to(technique) for technique in race.techniques}
    assert levels == {**dict.fromkeys(race.members, "features"), "stack": "none"}
    of_loop = load_file(race.layout.detector(1, "cnn"))["network.stem.weight"]
    networks = [each.network for each in live_of(race, 1).detectors if each.technique == "cnn"]
    assert all(not torch.equal(network.state_dict()["detector.network.stem.weight"], of_loop) for network in networks)


def test_features_are_matched_at_reals_that_did_not_train_them(finished: Race, run: Path):
    shutil.copytree(finished.run, run)
    (run / "config.yaml").unlink()
    race = tiny_arena(run, *FINISHED, "access=everything", "objective=kernel")
    assert race.access_to("forest") == "features"
    assert race.access_to("cnn") == "gradients"
    found = opponents(race, 1)
    assert isinstance(found, KernelOpponents)
    assert set(found.techniques) == set(race.members)
    loop, own = LoopReals.of(race), len(race.data.part("generator"))
    assert len(found.techniques["cnn"].reals) == (own + len(loop.validation)) // 2  # the others whiten
    assert len(found.techniques["forest"].reals) == (own + len(loop.whole)) // 2


def test_a_mixture_is_the_equilibrium_on_images_of_the_loop(finished: Race, run: Path):
    """The probabilities of a technique's detectors sum to 1. No judge real is needed."""
    shutil.copytree(finished.run, run)
    (run / "config.yaml").unlink()
    found = opponents(tiny_arena(run, *FINISHED, "pool=mixture", "access=white_box"), 1)
    assert isinstance(found, FrozenOpponents)
    assert found.probabilities is not None
    for technique in ("cnn", "dct", "spectrum"):
        mixed = [p for member, p in found.probabilities.items() if member.technique == technique]
        assert len(mixed) == 2
        assert sum(mixed) == pytest.approx(1)
        assert min(mixed) >= 0
