"""A test for each rule of evidence that code can break (docs/design.md)."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from arena.core.errors import ArenaError
from arena.core.progress import Progress
from arena.detectors.gallery import Gallery, Labelled, score
from arena.detectors.techniques.dct import Dct
from arena.race.case import Case, fakes_of_judges
from arena.race.checkpoints import Bank, load_bank, load_detector, load_generator
from arena.race.gan_monitor import train_gan
from arena.race.judging import judge_case
from arena.race.opponents import opponents
from arena.race.phases.detectors import LoopReals, begin, with_replay
from arena.race.phases.judges import case_of
from arena.race.race import Race
from arena.records.schema import ScoreRecord
from arena.records.store import read_records, read_scores
from arena.training.battery import BatchGroup
from arena.training.opponents.frozen import FrozenOpponents
from tests.building import tiny_arena

pytestmark = pytest.mark.slow


def keys(images: torch.Tensor) -> set[bytes]:
    """Images as hashable bytes."""
    return {image.numpy().tobytes() for image in images}


class Spy:
    """Replaces ``train_battery`` and keeps its arguments: images to learn from and to stop on."""

    def __init__(self) -> None:
        self.calls: list[tuple[torch.Tensor, Labelled, Labelled]] = []
        self.started: list[dict[str, torch.Tensor]] = []

    def __call__(self, groups: Sequence[BatchGroup], gallery: Gallery, **_: object) -> int:
        for group in groups:
            self.calls.append((gallery.seen, group.train, group.validation))
            self.started += [
                {name: value.clone() for name, value in detector.state_dict().items()}
                for detector in group.detectors.values()
            ]
        return 0


def test_1_reals_and_fakes_take_one_evidence_path(run: Path):
    """Detectors see reals and fakes on the same grey levels, for any output of the generator."""
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
    bank = load_bank(finished, 0)
    case = Case.of(race, bank.test, fakes_of_judges(finished, bank, 0, range(finished.judge.seeds)), 0)
    (judgements,), _ = judge_case(race, case, ["cnn"], 1, [0], images=128)
    test = judgements["cnn"].test
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


def test_2_the_data_seed_alone_draws_fewer_judge_reals_from_the_judges_part(run: Path):
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


def test_2_the_locked_reals_judge_only_where_the_race_says_so(run: Path):
    usual, last = (tiny_arena(run.parent / str(k), f"judge.locked={k == 1}", "judge.reals=null") for k in range(2))
    locked = keys(usual.data.part("locked").images)
    assert keys(last.judge_reals.images) == locked
    parts = [usual.data.part(name).images for name in ("generator", "detector", "judge", "reference")]
    assert locked.isdisjoint(keys(torch.cat(parts)))
    with pytest.raises(ArenaError, match=r"data.locked=0.*above 0"):
        tiny_arena(run.parent / "none", "judge.locked=true", "data.locked=0")


def test_2_no_real_of_a_judge_reaches_the_generator(run: Path, monkeypatch: pytest.MonkeyPatch):
    """Neither its training set nor the detectors that it attacks hold one."""
    race = tiny_arena(run)
    judged, referred = keys(race.judge_reals.images), keys(race.data.part("reference").images)
    loop = LoopReals.of(race)
    given = keys(race.generator_reals.images) | keys(loop.whole.images)
    assert not given & judged
    assert not given & referred
    taken: list[torch.Tensor] = []

    class Taking(Exception):
        pass

    def gan(**parts):
        taken.append(parts["reals"])
        raise Taking

    monkeypatch.setattr("arena.race.gan_monitor.GanTraining", gan)
    with pytest.raises(Taking):
        train_gan(race, 64, partial=run / "partial", target=run / "target", progress=Progress())
    assert keys(taken[0]) == keys(race.generator_reals.images)


@pytest.mark.parametrize(
    ("access", "part"),
    [("white_box", "detector"), ("other_reals", "generator"), ("equal_norm", "detector"), ("none", "detector")],
)
def test_6_detectors_of_other_reals_learn_from_generator_train_alone(run: Path, access: str, part: str):
    race = tiny_arena(run, f"access={access}")
    loop = LoopReals.of(race)
    assert keys(torch.cat([loop.train.images, loop.validation.images])) <= keys(race.data.part(part).images)
    assert len(loop.train) + len(loop.validation) == len(race.data.part("detector"))
    assert not keys(loop.train.images) & keys(loop.validation.images)


def test_reals_that_stop_the_detectors_of_a_branch_trained_none_in_its_origin(run: Path):
    """The split of the detectors' reals does not depend on the seed of the race."""
    one, other = (LoopReals.of(tiny_arena(run / seed, f"seed={seed}")) for seed in "01")
    assert torch.equal(one.train.images, other.train.images)
    assert torch.equal(one.validation.images, other.validation.images)


def test_3_the_generator_never_attacks_a_judge(finished: Race):
    """The pool of a response holds detectors of the loop alone."""
    pool = opponents(finished, 1)
    assert isinstance(pool, FrozenOpponents)
    assert {(m.technique, m.round) for m in pool.detectors} == {
        (technique, r) for technique in ("cnn", "dct", "spectrum") for r in (0, 1)
    }


def test_6_there_are_no_opponents_without_access(run: Path, finished: Race):
    for overrides, attacked in ((("access=none",), set()), (("access.held_out=[cnn,dct]",), {"spectrum"})):
        race = tiny_arena(run.with_name("none" if not attacked else "held_out"), *overrides)
        assert set(race.attacked) == attacked
        assert {name for name in race.techniques if race.access_to(name) == "gradients"} == attacked
    assert opponents(tiny_arena(run, "access=none"), 1) is None


def test_attacked_detectors_do_not_change(finished: Race, tmp_path: Path):
    """A response changes neither their weights nor their buffers."""
    pool = opponents(finished, 1)
    assert isinstance(pool, FrozenOpponents)
    before = {
        (member, name): value.clone()
        for member, detector in pool.detectors.items()
        for name, value in detector.state_dict().items()
    }
    train_gan(
        finished,
        64,
        partial=tmp_path / "partial",
        target=tmp_path / "target",
        progress=Progress(),
        source=finished.layout.gan(1),
        round_index=1,
        opponents=pool,
    )
    for member, detector in pool.detectors.items():
        for name, value in detector.state_dict().items():
            assert torch.equal(value, before[member, name]), (member, name)


def test_8_an_image_is_scored_alone(finished: Race):
    """Its score does not depend on the other images of the batch, nor on its place there."""
    images = torch.cat([finished.judge_reals.images[:40], load_bank(finished, 2).test[:40]])
    for technique in finished.members:
        detector = load_detector(finished, technique, 2)
        together = score(detector, images, finished.evidence)
        alone = torch.cat([score(detector, image[None], finished.evidence) for image in images])
        turned = score(detector, images.flip(0), finished.evidence).flip(0)
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(together, turned, rtol=1e-4, atol=1e-5)


def test_8_the_auc_can_be_recomputed_from_the_scores(finished: Race):
    from sklearn.metrics import roc_auc_score

    for record in read_records(finished.run):
        if isinstance(record, ScoreRecord):
            scores = read_scores(finished.run, record.scores)
            folds = [scores.fold == fold for fold in np.unique(scores.fold)]
            each = [roc_auc_score(scores.label[fold], scores.score[fold]) for fold in folds]
            assert record.auc == pytest.approx(np.mean(each), abs=1e-9)


def test_old_fakes_are_replayed(finished: Race):
    fakes = load_bank(finished, 2).train
    replayed = with_replay(finished, fakes, 2)
    assert len(replayed) == len(fakes)
    old = keys(torch.cat([load_bank(finished, r).train for r in (0, 1)]))
    share = np.mean([image.numpy().tobytes() in old for image in replayed])
    assert share >= finished.battery.replay - 0.02
    assert keys(replayed) & keys(fakes)
    assert torch.equal(with_replay(finished, load_bank(finished, 0).train, 0), load_bank(finished, 0).train)


def test_retraining_starts_from_the_last_weights_and_judging_does_not(
    finished: Race, run: Path, monkeypatch: pytest.MonkeyPatch
):
    spy = Spy()
    monkeypatch.setattr("arena.race.judging.train_battery", spy)
    elsewhere = dataclasses.replace(finished, run=run)  # the files of the finished race stay as they are
    judge_case(elsewhere, case_of(finished, 1, 1, range(3)), ["cnn"], 1, [0], images=128)
    before = load_detector(finished, "cnn", 0).state_dict()
    detector, new = begin(finished, "cnn", 1)
    assert not new
    assert all(torch.equal(value, before[name]) for name, value in detector.state_dict().items())
    first, second = (state["network.stem.weight"] for state in spy.started)
    assert not torch.equal(first, before["network.stem.weight"])
    assert not torch.equal(first, second)


def test_forged_banks_share_no_image_and_repeat(finished: Race):
    bank = load_bank(finished, 1)
    assert not keys(bank.train) & keys(bank.test)
    generator = load_generator(finished, 1)
    again = generator.forge(finished.bank.counts, finished.seed_of("forge"), finished.generator_reals)
    assert torch.equal(Bank.of(again, finished.data.levels).test, bank.test)
