from functools import partial

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from arena.config.schema import BatteryConfig
from arena.core.parallel import parallel_map
from arena.core.threads import on_threads
from arena.detectors.base import Detector, Examples, FittedDetector, LearnedDetector
from arena.detectors.gallery import Gallery, Labelled, score, score_all
from arena.detectors.heads.head import Head, Sample
from arena.training.battery import SPACING, VALIDATIONS, BatteryTraining
from arena.training.machine import step_loader
from tests.detectors.planted import CPU, EVIDENCE, build, digits, train, train_all

EVERY = pytest.mark.parametrize("technique", ["cnn", "dct", "spectrum", "forest"])


run = partial(train, images=1280, learning_rate=1e-2, patience=10)


def validation_auc(detector, validation):
    return roc_auc_score(validation.labels, score(detector, validation.images, EVIDENCE))


@EVERY
def test_weights_hang_on_the_seed_and_not_on_what_ran_before(technique):
    learned, validation, _ = digits(technique)
    states = []
    for noise, seed in ((0, 7), (1, 7), (1, 8)):
        detector = build(technique)
        torch.manual_seed(noise)
        if noise:
            run(build("dct"), *digits("dct")[:2], images=320)
            torch.rand(17)
        run(detector, learned, validation, images=640, seed=seed)
        states.append(detector.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    if isinstance(build(technique), LearnedDetector):  # a fitted one sees all examples at once, whatever the seed
        assert not all(torch.equal(value, states[2][name]) for name, value in states[0].items())


@pytest.mark.parametrize("technique", ["cnn", "dct"])
def test_it_ends_in_the_state_whose_validation_auc_was_highest(technique, monkeypatch):
    told = iter([0.6, 0.7, 0.9, *[0.8] * (VALIDATIONS - 3)])
    monkeypatch.setattr("arena.training.battery.auc", lambda *_: next(told))
    states: list[dict[str, Tensor]] = []
    validate = BatteryTraining.validation_step

    def watched(self, step):
        validate(self, step)
        states.append({name: value.clone() for name, value in self.detectors["it"].state_dict().items()})

    monkeypatch.setattr(BatteryTraining, "validation_step", watched)
    learned, validation, _ = digits(technique)
    detector = build(technique)
    run(detector, learned, validation, images=64 * SPACING * VALIDATIONS, patience=VALIDATIONS)
    assert len(states) == VALIDATIONS
    assert all(torch.equal(value, states[2][name]) for name, value in detector.state_dict().items())
    assert not all(torch.equal(value, states[-1][name]) for name, value in detector.state_dict().items())


@pytest.mark.parametrize(("images", "looks"), [(64, 1), (64 * 7, 1), (64 * 8, 2), (64 * 200, VALIDATIONS)])
def test_a_small_budget_is_spent_on_learning_rather_than_on_looking(images, looks, monkeypatch):
    looked = []
    monkeypatch.setattr("arena.training.battery.auc", lambda *_: looked.append(1) or 0.5 + len(looked) / 100)
    learned, validation, _ = digits("dct")
    run(build("dct"), learned, validation, images=images)
    assert len(looked) == looks


def test_it_stops_early_where_validation_gains_nothing():
    learned, validation, _ = digits("cnn")
    noise = Examples(learned.images, torch.randint(0, 2, (900,), generator=torch.Generator().manual_seed(0)))
    assert run(build("cnn"), noise, validation, images=6400, patience=2) < 6400 / 2
    assert run(build("cnn"), noise, validation, images=640, patience=100) == 640


@pytest.mark.parametrize(("images", "batch", "shown"), [(1000, 64, 960), (64, 64, 64), (639, 64, 576), (100, 3, 99)])
def test_it_stays_within_its_budget(images, batch, shown):
    learned, validation, _ = digits("dct")
    detector = build("dct")
    assert run(detector, learned, validation, images=images, batch=batch, patience=100) == shown
    assert next(detector.parameters()).device.type == "cpu"


class Watch(LearnedDetector):
    """Remembers what it was shown in training; images of the first class are darker."""

    artefact = "checkerboard"

    def __init__(self) -> None:
        super().__init__(resolution=8, channels=1, levels=17)
        self.head = nn.Linear(1, 1)
        self.shown: list[Tensor] = []
        self.prepared = 0

    def prepare(self, images: Tensor) -> None:
        self.prepared += len(images)

    def logits(self, images: Tensor) -> Tensor:
        if self.training:
            self.shown.append(images.mean((1, 2, 3)))
        return self.head(images.mean((2, 3))).squeeze(1)


def uneven(n_real, n_fake):
    images = torch.zeros(n_real + n_fake, 1, 8, 8, dtype=torch.uint8)
    images[n_real:] = 255
    return Examples(images, torch.tensor([0] * n_real + [1] * n_fake))


@pytest.mark.parametrize(("batch", "reals"), [(64, 32), (7, 4), (2, 1)])
def test_batches_have_as_many_reals_as_fakes_however_uneven_the_examples(batch, reals):
    watch = Watch()
    run(watch, uneven(90, 10), uneven(10, 10), images=10 * batch, batch=batch, patience=100)
    assert len(watch.shown) == 10
    for values in watch.shown:
        assert len(values) == batch
        assert int((values == -1).sum()) == reals
        assert int((values == 1).sum()) == batch - reals


def test_every_step_draws_a_batch_of_its_own():
    learned, validation, _ = digits("dct")
    watch = Watch()
    run(watch, learned, validation, images=640, patience=100)
    assert len({tuple(values.tolist()) for values in watch.shown}) == 10


@pytest.mark.parametrize(("fresh", "prepared"), [(True, 100), (False, 0)])
def test_only_a_fresh_one_looks_at_the_data_first(fresh, prepared):
    watch = Watch()
    run(watch, uneven(90, 10), uneven(10, 10), images=64, fresh=fresh)
    assert watch.prepared == prepared


def test_a_retrained_one_goes_on_from_where_it_stood():
    learned, validation, _ = digits("dct")
    detector = build("dct")
    run(detector, learned, validation, images=2560)
    (mean,) = (value.clone() for name, value in detector.state_dict().items() if name.endswith("mean"))
    before = validation_auc(detector, validation)
    run(detector, learned, validation, images=1280, seed=1, fresh=False, learning_rate=1e-3)
    assert any(torch.equal(value, mean) for name, value in detector.state_dict().items() if name.endswith("mean"))
    assert validation_auc(detector, validation) > before - 0.02


def test_what_it_stops_on_is_the_auc_of_the_whole_validation_set():
    validation = uneven(30, 10)
    detector = Watch()
    gallery = Gallery(validation.images, EVIDENCE)
    labelled = Labelled(torch.arange(40), validation.labels)
    training = BatteryTraining({"it": detector}, gallery, labelled, labelled, BatteryConfig(images=8, batch=8), 0)
    CPU.fit(training, step_loader(0, 1), step_loader(0, 1))
    expected = roc_auc_score(validation.labels, score(detector, validation.images, EVIDENCE))
    assert training.pupils["it"].best_auc == pytest.approx(float(expected), abs=1e-9)


def test_what_a_detector_becomes_does_not_depend_on_who_learns_beside_it():
    learned, validation, _ = digits("cnn")
    alone, beside = build("cnn"), build("cnn")
    run(alone, learned, validation)
    train_all({"first": build("dct"), "it": beside}, learned, validation, images=1280, learning_rate=1e-2, patience=10)
    train_all({"it": (again := build("cnn")), "dct": build("dct")}, learned, validation, 1280, 0, True, 1e-2, 64, 10)
    for name, value in alone.state_dict().items():
        assert torch.equal(value, beside.state_dict()[name])
        assert torch.equal(value, again.state_dict()[name])


def test_one_is_stopped_while_the_others_go_on(monkeypatch):
    learned, validation, _ = digits("dct")
    watches = {"stalls": Watch(), "gains": Watch()}
    looks = {"stalls": 0, "gains": 0}

    def told(logits, labels):
        name = "stalls" if sum(looks.values()) % 2 == 0 and looks["stalls"] <= 2 else "gains"
        looks[name] += 1
        return 0.5 if name == "stalls" else 0.5 + looks["gains"] / 100

    monkeypatch.setattr("arena.training.battery.auc", told)
    taken = train_all(watches, learned, validation, images=64 * 40, patience=2)
    assert looks["stalls"] == 3
    assert looks["gains"] > 3
    assert taken == 64 * 40
    assert len(watches["stalls"].shown) < len(watches["gains"].shown) == 40


class Counting(Head):
    """Remembers the labels it was fitted on."""

    labels: list[Tensor]

    def fit(self, train: Sample, validation: Sample, seed: int) -> None:
        self.labels = [train.labels, validation.labels]

    def forward(self, features: Tensor) -> Tensor:
        return features[:, 0].float()


class FittedOnReals(FittedDetector):
    artefact, differentiable, needs_fakes = "checkerboard", True, False

    def __init__(self) -> None:
        super().__init__(resolution=8, channels=1, levels=17)
        self.head = Counting()
        self.measured = 0

    def features(self, images: Tensor) -> Tensor:
        self.measured += len(images)
        return images.flatten(1)


def test_who_needs_no_fakes_never_sees_one():
    fitted = FittedOnReals()
    train_all({"fitted": fitted}, uneven(90, 10), uneven(30, 10), images=640)
    assert isinstance(fitted.head, Counting)
    assert [len(labels) for labels in fitted.head.labels] == [90, 30]
    assert not any(bool(labels.any()) for labels in fitted.head.labels)


def test_features_are_taken_once_whoever_asks():
    one, other, images = FittedOnReals(), FittedOnReals(), uneven(30, 10).images
    gallery = Gallery(images, EVIDENCE)
    for detector in (one, other):  # the same technique: a judge of another fold
        gallery.measure({"it": detector})
        score_all({"it": detector}, gallery, torch.arange(5))
    assert (one.measured, other.measured) == (40, 0)


@pytest.mark.parametrize("threads", [1, 2])
def test_side_by_side_is_in_order_and_in_the_mode_of_the_caller(threads):
    with on_threads(threads):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            found = parallel_map(
                lambda k: (k, torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_num_threads()),
                range(6),
                torch.device("cpu"),
            )
        assert found == [(k, False, True, 1) for k in range(6)]
        assert torch.get_num_threads() == threads


def test_threads_change_nothing():
    learned, validation, _ = digits("cnn")
    states = []
    for threads in (1, 2):
        with on_threads(threads):
            pair = {"one": build("cnn"), "two": build("dct")}
            train_all(pair, learned, validation, images=640)
        states.append(pair["one"].state_dict() | pair["two"].state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_detector_of_neither_kind_is_refused():
    class Stray(Detector):
        differentiable, artefact = True, "checkerboard"

        def forward(self, images: Tensor) -> Tensor:
            return images.mean((1, 2, 3))

    with pytest.raises(TypeError, match="Stray is neither"):
        run(Stray(resolution=8, channels=1, levels=17), uneven(9, 9), uneven(9, 9))
