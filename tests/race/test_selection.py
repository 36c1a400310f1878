"""Probes choose between branches and snapshots of a response, within its budget, and see reals of the loop alone."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import load_file

from arena.answer.answer import read_answer
from arena.config.schema import STACK
from arena.core.errors import ArenaError
from arena.core.progress import Progress
from arena.detectors.gallery import Gallery
from arena.generators.base import TrainableGenerator
from arena.race.checkpoints import Bank, load_bank
from arena.race.forecast import seconds_of_race
from arena.race.gan_monitor import MonitoredGan
from arena.race.loop import carry_out
from arena.race.phases.detectors import LoopReals
from arena.race.phases.generator import respond
from arena.race.probes import Probes
from arena.race.race import Race
from arena.race.selection import START, Snapshot, halving, read_probes, snapshot_to_end_with
from arena.records.schema import AucEstimate, PhaseRecord, ProbeRecord, ResamplingRecord, TrainingRecord
from arena.records.store import read_records
from arena.training.gan import images_seen_by
from arena.training.meter import Meter
from tests.building import FINISHED, tiny_arena

IMAGES = 128
KEYS = ("selection=branches", "probes.images=32", "probes.fakes=48", "schedule.evaluate_images=48")


@given(st.integers(1, 9), st.integers(1, 10_000), st.floats(0.01, 0.99))
def test_halving_spends_at_most_its_share_and_ends_with_one_branch(branches: int, steps: int, share: float):
    rungs = halving(branches, steps, share)
    assert sum(count * each for count, each in rungs) <= share * steps
    counts = [count for count, _ in rungs] + [1]
    assert counts[0] == branches
    assert all(after == (count + 1) // 2 for count, after in pairwise(counts))


def test_two_branches_share_a_quarter_of_the_budget():
    assert halving(2, steps=400, share=0.25) == [(2, 50)]
    assert halving(1, steps=400, share=0.25) == []


def estimate(auc: float, error: float = 0.02) -> AucEstimate:
    return AucEstimate(auc=auc, auc_low=auc - 1.96 * error, auc_high=auc + 1.96 * error)


@pytest.mark.parametrize(
    ("aucs", "expected"),
    [
        ([0.9, 0.8, 0.7], 2),
        ([0.9, 0.69, 0.70], 2),  # within one standard error: the last
        ([0.9, 0.65, 0.70], 1),
        ([0.6, 0.65, 0.70], 0),  # training hurt: the state of the start
    ],
)
def test_an_earlier_snapshot_has_to_be_clearly_better(aucs: list[float], expected: int):
    snapshots = [START, Snapshot(1.0, 10), Snapshot(1.0, 20)]
    probed = {snapshot: estimate(auc) for snapshot, auc in zip(snapshots, aucs, strict=True)}
    assert snapshot_to_end_with(probed) == snapshots[expected]


# --- on a race ----------------------------------------------------------------------------------------------------


def beside(finished: Race, run: Path, *overrides: str) -> Race:
    """A race with selection, in a copy of what a finished race has left, which is to respond to its first round."""
    shutil.copytree(finished.run, run)
    (run / "config.yaml").unlink()
    race = tiny_arena(run, *FINISHED, *KEYS, *overrides)
    shutil.rmtree(race.layout.gan(2))
    return race


def set_aucs(monkeypatch: pytest.MonkeyPatch, *aucs: float) -> None:
    """Replace what probes read, in the order of the snapshots."""
    read = iter(aucs)
    monkeypatch.setattr(Probes, "of_generator", lambda self, generator: {STACK: estimate(next(read))})


def known(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_probes_know_attacked_techniques_and_see_reals_of_the_loop_alone(
    finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[torch.Tensor] = []

    def gallery(images: torch.Tensor, *rest: object) -> Gallery:
        seen.append(images)
        return Gallery(images, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("arena.race.probes.Gallery", gallery)
    race = beside(finished, run, "access.held_out=[dct]")
    bank, reals = load_bank(finished, 1), LoopReals.of(race)
    fakes = Bank(bank.train[:48], bank.validation[:12], bank.test[:48])
    meters = Meter(), Meter()
    first, again = (Probes(race, 2, meter)(fakes) for meter in meters)
    assert set(first) == {"cnn", "spectrum", STACK}
    assert first == again
    assert meters[0].spent == meters[1].spent
    assert meters[0].spent.detector_updates > 0 < meters[0].spent.multiply_accumulates
    assert known(seen[0]) == known(torch.cat([reals.whole.images, *fakes]))
    only_judges = known(race.judge_reals.images) - known(
        torch.cat([race.data.part(name).images for name in ("detector", "generator")])
    )
    assert only_judges
    assert not known(seen[0]) & only_judges


def test_probes_tell_blank_images_from_reals_and_reals_of_the_loop_not_from_others(finished: Race, run: Path):
    race = beside(finished, run, "battery.images=128", "probes.images=128", "access.held_out=[cnn]")
    others = race.generator_reals.images
    alike, blank = (
        Probes(race, 1, Meter())(Bank(*images[:450].split([200, 50, 200]))) for images in (others, 0 * others)
    )
    assert blank[STACK].auc > 0.95
    assert alike[STACK].auc_low < 0.5 < alike[STACK].auc_high + 0.05


@pytest.mark.parametrize(("lower", "multiplier"), [(0, 0.0), (1, 1.0)])
def test_the_branch_of_the_lower_auc_goes_on_and_all_images_count(
    finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch, lower: int, multiplier: float
):
    race = beside(finished, run)
    of_branches = [0.8, 0.8]
    of_branches[lower] = 0.7
    set_aucs(monkeypatch, 0.9, *of_branches, 0.6, 0.5)
    output = respond(race, 1, Progress())
    probes = [record for record in output.records if isinstance(record, ProbeRecord)]
    assert [probe.multiplier for probe in probes] == [None, 0.0, 1.0, multiplier, multiplier]
    assert [probe.images for probe in probes] == [0, 16, 16, 64, 112]  # of 128, 16 went to the other branch
    assert [probe.spent for probe in probes] == [0, 16, 32, 80, IMAGES]
    assert [probe.continued for probe in probes] == [True, lower == 0, lower == 1, True, False]
    assert [probe.chosen for probe in probes] == [False] * 4 + [True]
    assert output.images == IMAGES
    assert images_seen_by(race.layout.gan(2)) == images_seen_by(race.layout.gan(1)) + IMAGES
    trained = [record for record in output.records if isinstance(record, TrainingRecord)]
    assert [record.images for record in trained] == [16, 64, 112]
    assert read_probes(race.layout.gan(2)) == probes
    assert not race.layout.selection(1).exists()


@pytest.mark.parametrize(("aucs", "images"), [((0.5, 0.8, 0.7, 0.8, 0.8), 0), ((0.9, 0.8, 0.7, 0.4, 0.8), 64)])
def test_the_state_of_a_chosen_snapshot_ends_the_response(
    finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch, aucs: tuple[float, ...], images: int
):
    race = beside(finished, run)
    states: list[dict[str, torch.Tensor]] = []
    read = iter(aucs)

    def of_generator(_: Probes, generator: torch.nn.Module) -> dict[str, AucEstimate]:
        states.append({name: value.clone() for name, value in generator.state_dict().items()})
        return {STACK: estimate(next(read))}

    monkeypatch.setattr(Probes, "of_generator", of_generator)
    probes = [record for record in respond(race, 1, Progress()).records if isinstance(record, ProbeRecord)]
    (chosen,) = [place for place, probe in enumerate(probes) if probe.chosen]
    assert probes[chosen].images == images
    ended = load_file(race.layout.generator(2))
    assert all(torch.equal(value, states[chosen][name]) for name, value in ended.items())
    assert not all(torch.equal(value, states[-1][name]) for name, value in ended.items())
    assert images_seen_by(race.layout.gan(2)) == images_seen_by(race.layout.gan(1)) + IMAGES


@pytest.mark.slow
def test_a_killed_response_resumes_to_the_bit_wherever_it_was_killed(
    finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch
):
    live = (
        "pool=live",
        "objective=relative",
        "pool.head_start=2",
        "pool.renew_images=48",
        "selection.multipliers=[1,2]",
    )
    whole = respond(beside(finished, run, *live), 1, Progress())

    class Killed(BaseException):
        pass

    race = beside(finished, run.with_name("killed"), *live)
    kept, probed = MonitoredGan.keep, Probes.of_generator
    with monkeypatch.context() as patched:
        for count in range(1, 4):  # killed after ever more states, and before ever more probes
            left = {"keep": 2 * count, "probe": count}

            def keep(self: MonitoredGan, left: dict[str, int] = left) -> None:
                kept(self)
                count_down(left, "keep")

            def of_generator(self: Probes, generator: TrainableGenerator, left: dict[str, int] = left):
                count_down(left, "probe")
                return probed(self, generator)

            def count_down(left: dict[str, int], what: str) -> None:
                left[what] -= 1
                if left[what] == 0:
                    raise Killed

            patched.setattr(MonitoredGan, "keep", keep)
            patched.setattr(Probes, "of_generator", of_generator)
            with pytest.raises(Killed):
                respond(race, 1, Progress())
    assert respond(race, 1, Progress()).records == whole.records
    for name in ("generator.safetensors", "gan.safetensors", "probes.jsonl", "curve.jsonl"):
        assert (race.layout.gan(2) / name).read_bytes() == (run / "checkpoints/round_02/gan" / name).read_bytes()
    assert not (race.layout.gan(2) / "opponents.pt").exists()
    assert respond(race, 1, Progress()).records == whole.records  # killed before the phase was closed


@pytest.mark.slow
def test_a_whole_race_with_selection_and_resampling_is_forecast_and_carried_out(run: Path):
    fewer = ("access.held_out=[cnn]", "resampling.factor=2", "resampling.shrinks=[0,1]")
    race = tiny_arena(run, *KEYS, "resampling=probes", *fewer)
    assert seconds_of_race(race, beside=False) > 0
    carry_out(race, Console(quiet=True))
    records = read_records(run)
    assert any(isinstance(record, ProbeRecord) and record.chosen for record in records)
    assert {record.round for record in records if isinstance(record, ResamplingRecord)} == {1}
    forged = [record for record in records if isinstance(record, PhaseRecord) and record.phase == "forge"]
    assert [record.detector_updates > 0 for record in forged] == [False, True]  # scorer and probes
    assert forged[1].multiply_accumulates > 0
    assert read_answer(run).run.declared.last_round == 1


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("selection=branches", "access=none"), "access=none: expected one that knows features or gradients"),
        (
            ("selection=branches", "access=equal_norm"),
            "access=equal_norm: expected one that knows features or gradients",
        ),
        (("selection=branches", "selection.share=0.1"), r"selection.share=0.1: expected more of schedule.response"),
        (("selection.multipliers=[1,1]",), r"selection.multipliers=\[1.0, 1.0\]: expected numbers from 0 up"),
        (
            ("selection.multipliers=[1,2]", "pool=live", "objective=relative", "access=everything", "access.queries=1"),
            "access.queries=1: expected at least 2: images to submit in each branch that attacks",
        ),
        (("selection=branches", "battery.stack=null"), "battery.stack=null: expected a stack, by whose AUC selection"),
        (("resampling=probes", "battery.stack=null"), "battery.stack=null: expected a stack, by whose AUC resampling"),
    ],
)
def test_selection_that_has_nothing_to_probe_with_is_refused(run: Path, overrides: tuple[str, ...], expected: str):
    with pytest.raises(ArenaError, match=expected):
        tiny_arena(run, *overrides)
