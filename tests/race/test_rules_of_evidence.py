"""A test for each rule of evidence that code can break (docs/design.md)."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from arena.core.progress import Progress
from arena.detectors.gallery import Gallery, Labelled, score
from arena.detectors.techniques.dct import Dct
from arena.race.gan_monitor import train_gan
from arena.race.judging import Case, judge_case, load_detector
from arena.race.layout import Bank
from arena.race.phases.forge import load_generator
from arena.race.phases.respond import detector_loss
from arena.race.phases.retrain import LoopReals, begin, with_replay
from arena.race.race import Race
from arena.records.schema import ScoreRecord
from arena.records.store import read_records, read_scores
from tests.building import tiny_arena

# The package offers the phases under the names of their modules.
TRAIN = sys.modules["arena.race.gan_monitor"]


def keys(images: torch.Tensor) -> set[bytes]:
    """Images as hashable bytes."""
    return {image.numpy().tobytes() for image in images}


def quiet() -> Progress:
    return Progress(Console(quiet=True), [], 0.0)


class Spy:
    """Stands in for ``train_battery`` and remembers what it was given: images to learn from and to stop on."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, Labelled, Labelled]] = []
        self.started: list[dict[str, torch.Tensor]] = []

    def __call__(self, detectors, gallery: Gallery, train: Labelled, validation: Labelled, **_: object) -> int:
        self.calls.append((gallery.seen, train, validation))
        self.started += [
            {name: value.clone() for name, value in its.state_dict().items()} for its in detectors.values()
        ]
        return 0


def test_1_reals_and_fakes_come_down_one_path(run: Path):
    """What a detector sees of a real and of a fake lies on the same grey levels, whatever the generator put out."""
    race = tiny_arena(run)
    seen: list[torch.Tensor] = []

    class Watching(Dct):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images)
            return super().forward(images)

    detector = Watching(resolution=8, channels=1, levels=17, epsilon=1e-3)
    raw = torch.rand(8, 1, 8, 8) * 2.4 - 1.2
    detector(race.evidence(raw))
    score(detector, race.judge_reals.images[:8], race.evidence)
    for images in seen:
        steps = (images + 1) * 8
        assert torch.equal(steps, steps.round())
        assert images.abs().max() <= 1


def test_2_no_judge_trains_on_what_it_tests(run: Path, finished: Race, monkeypatch: pytest.MonkeyPatch):
    spy = Spy()
    monkeypatch.setattr("arena.race.judging.train_battery", spy)
    race = tiny_arena(run)
    bank = finished.forged(0)
    case = Case.of(race, bank, 0)
    test = judge_case(race, quiet(), case, ["cnn"], seed=1, judge_seed=0, share=1.0).of["cnn"].test
    reals = race.judge_reals
    assert sorted(test.image[test.label == 0]) == sorted(reals.ids)
    assert sorted(test.image[test.label == 1]) == list(range(len(bank.test)))
    position = {image: place for place, image in enumerate(reals.ids.tolist())}
    for fold, (seen, train, validation) in enumerate(spy.calls):
        here = test.fold == fold
        tested = [position[image] for image in test.image[here & (test.label == 0)].tolist()]
        fakes = torch.from_numpy(test.image[here & (test.label == 1)])
        for part in (train, validation):
            assert len(part.labels) > 0
            assert not keys(reals.images[tested]) & keys(seen[part.which[part.labels == 0]])
            assert not keys(bank.test[fakes]) & keys(seen[part.which[part.labels == 1]])
        assert not keys(seen[train.which]) & keys(seen[validation.which])
    assert len(spy.calls) == race.judge.folds


def test_2_fewer_judge_reals_are_drawn_by_the_data_seed_from_the_judges_part_alone(run: Path):
    arenas = [
        tiny_arena(run.parent / str(k), f"judge.reals={n}", f"seed={seed}", f"data.seed={data_seed}")
        for k, (n, seed, data_seed) in enumerate([(60, 0, 0), (60, 1, 0), (60, 0, 1), ("null", 0, 0), (100_000, 0, 0)])
    ]
    few, again, other, whole, most = (race.judge_reals.ids for race in arenas)
    assert len(few) == len(np.unique(few)) == 60
    assert set(few) < set(whole)
    assert list(few) == list(again) != list(other)
    assert list(whole) == list(most) == list(arenas[0].data.part("judge").ids)
    assert list(few) != list(whole[:60])


def test_2_no_real_of_a_judge_reaches_the_generator(run: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither through its own training set, nor through the detectors whose gradients it is given."""
    race = tiny_arena(run)
    judged, referred = keys(race.judge_reals.images), keys(race.data.part("reference").images)
    loop = LoopReals.of(race)
    given = keys(race.generator_reals.images) | keys(loop.train) | keys(loop.validation)
    assert not given & judged
    assert not given & referred
    taken: list[torch.Tensor] = []

    class Taking(Exception):
        pass

    def gan(**parts):
        taken.append(parts["reals"])
        raise Taking

    monkeypatch.setattr(TRAIN, "GanTraining", gan)
    with pytest.raises(Taking):
        train_gan(race, quiet(), 0, None, run / "partial", run / "target", 64, None)
    assert keys(taken[0]) == keys(race.generator_reals.images)


@pytest.mark.parametrize(
    ("access", "part"), [("white_box", "detector"), ("placebo", "generator"), ("none", "detector")]
)
def test_6_the_placebo_learns_from_generator_train_alone(run: Path, access: str, part: str):
    race = tiny_arena(run, f"access={access}")
    loop = LoopReals.of(race)
    assert keys(torch.cat([loop.train, loop.validation])) <= keys(race.data.part(part).images)
    assert len(loop.train) + len(loop.validation) == len(race.data.part("detector"))
    assert not keys(loop.train) & keys(loop.validation)


def test_what_stops_the_detectors_of_a_branch_trained_none_in_its_origin(run: Path):
    """A branch has a seed of its own; the reals its origin's detectors learned from are the same."""
    one, other = (LoopReals.of(tiny_arena(run / seed, f"seed={seed}")) for seed in "01")
    assert torch.equal(one.train, other.train)
    assert torch.equal(one.validation, other.validation)


def test_3_the_verdict_reads_fresh_judges_that_no_generator_was_told_of(finished: Race):
    """No pool ever holds a judge: what presses on the generator is loaded from the loop's detectors alone."""
    loss = detector_loss(finished, 1)
    assert loss is not None
    assert {(m.technique, m.round) for m in loss.detectors} == {
        (technique, r) for technique in ("cnn", "dct", "spectrum") for r in (0, 1)
    }


def test_6_no_pressure_without_access(run: Path, finished: Race):
    for overrides, told in ((("access=none",), set()), (("access.held_out=[cnn,dct]",), {"spectrum"})):
        race = tiny_arena(run.with_name("none" if not told else "held_out"), *overrides)
        assert {t for t in race.members if race.told(t)} == told
    assert detector_loss(tiny_arena(run, "access=none"), 1) is None


def test_attacked_detectors_do_not_change(finished: Race, tmp_path: Path):
    """Weights and buffers, batch normalisation's included, are after a response what they were before."""
    loss = detector_loss(finished, 1)
    assert loss is not None
    before = {
        (member, name): value.clone()
        for member, detector in loss.detectors.items()
        for name, value in detector.state_dict().items()
    }
    source = finished.folder(1) / "gan"
    train_gan(finished, quiet(), 1, source, tmp_path / "partial", tmp_path / "target", 64, loss)
    for member, detector in loss.detectors.items():
        for name, value in detector.state_dict().items():
            assert torch.equal(value, before[member, name]), (member, name)


def test_8_an_image_is_scored_alone(finished: Race):
    """Its score does not depend on its batch mates, nor on where in the batch it stands."""
    images = torch.cat([finished.judge_reals.images[:40], finished.forged(2).test[:40]])
    for technique in finished.members:
        detector = load_detector(finished, technique, 2)
        together = score(detector, images, finished.evidence)
        alone = torch.cat([score(detector, image[None], finished.evidence) for image in images])
        turned = score(detector, images.flip(0), finished.evidence).flip(0)
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together, turned, rtol=1e-4, atol=1e-5)


def test_8_figures_can_be_made_again_from_the_scores(finished: Race):
    from sklearn.metrics import roc_auc_score

    for record in read_records(finished.run):
        if isinstance(record, ScoreRecord):
            scores = read_scores(finished.run, record.scores)
            folds = [scores.fold == fold for fold in np.unique(scores.fold)]
            each = [roc_auc_score(scores.label[fold], scores.score[fold]) for fold in folds]
            assert record.auc == pytest.approx(np.mean(each), abs=1e-9)


def test_old_fakes_are_replayed(finished: Race):
    fakes = finished.forged(2).train
    replayed = with_replay(finished, fakes, 2)
    assert len(replayed) == len(fakes)
    old = keys(torch.cat([finished.forged(r).train for r in (0, 1)]))
    share = np.mean([image.numpy().tobytes() in old for image in replayed])
    assert share >= finished.battery.replay - 0.02
    assert keys(replayed) & keys(fakes)
    assert torch.equal(with_replay(finished, finished.forged(0).train, 0), finished.forged(0).train)


def test_a_detector_goes_on_from_where_it_stood(finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch):
    """Retraining starts from the last round's weights; judging never does."""
    spy = Spy()
    monkeypatch.setattr("arena.race.judging.train_battery", spy)
    elsewhere = dataclasses.replace(finished, run=run)  # the finished race is read by others, who count its files
    judge_case(elsewhere, quiet(), Case.of(finished, finished.forged(1), 1), ["cnn"], seed=1, judge_seed=0, share=1.0)
    stood = load_detector(finished, "cnn", 0).state_dict()
    goes_on, new = begin(finished, "cnn", 1)
    assert not new
    assert all(torch.equal(value, stood[name]) for name, value in goes_on.state_dict().items())
    first, second = (its["network.stem.weight"] for its in spy.started)
    assert not torch.equal(first, stood["network.stem.weight"])
    assert not torch.equal(first, second)


def test_forged_banks_share_no_image_and_repeat(finished: Race):
    bank = finished.forged(1)
    assert not keys(bank.train) & keys(bank.test)
    generator = load_generator(finished, 1)
    again = generator.forge(finished.bank.counts, finished.seed_of("forge"), finished.generator_reals)
    assert torch.equal(Bank.of(again, finished.data.levels).test, bank.test)
