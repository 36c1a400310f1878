from collections.abc import Sequence
from functools import partial

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from arena.config.schema import BatteryConfig
from arena.core.machine import on_threads
from arena.detectors.base import Detector, FittedDetector, LearnedDetector
from arena.detectors.gallery import Gallery, Labelled, score
from arena.detectors.heads import Head, Sample
from arena.training.battery import SPACING, VALIDATIONS, BatchGroup, BatteryTraining, Learner, train_battery
from tests.detectors.planted import CPU, EVIDENCE, Examples, build, digits, train, train_all

pytestmark = pytest.mark.slow

BATCH = 64
run = partial(train, images=640, learning_rate=1e-2, patience=10)


def validation_auc(detector, validation):
    return roc_auc_score(validation.labels, score(detector, validation.images, EVIDENCE))


def uneven(n_real, n_fake):
    """Return black reals and white fakes."""
    images = torch.zeros(n_real + n_fake, 1, 8, 8, dtype=torch.uint8)
    images[n_real:] = 255
    return Examples(images, torch.tensor([0] * n_real + [1] * n_fake))


class Scripted(LearnedDetector):
    """Records its training images. At validation k it separates the classes by ``separations[k]``.

    Args:
        separations: distance of the classes in standard deviations; by default it grows with every validation.
    """

    artefact = "checkerboard"
    steps: Tensor

    def __init__(self, separations: Sequence[float] | None = None) -> None:
        super().__init__(resolution=8, channels=1, levels=17)
        self.head = nn.Linear(1, 1)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.separations = torch.arange(100) / 20 if separations is None else separations
        self.shown: list[Tensor] = []
        self.validated_at: list[int] = []
        self.prepared = 0

    def prepare(self, images: Tensor) -> None:
        self.prepared += len(images)

    def logits(self, images: Tensor) -> Tensor:
        brightness = images.mean((1, 2, 3))
        if self.training:
            self.steps += 1
            self.shown.append(brightness)
            return self.head(brightness[:, None]).squeeze(1)
        noise = torch.randn(len(images), generator=torch.Generator().manual_seed(0))
        separation = self.separations[len(self.validated_at)]
        self.validated_at.append(int(self.steps))
        return noise + separation * brightness


# Results.


@pytest.mark.parametrize("technique", ["cnn", "dct", "spectrum", "forest"])
def test_weights_depend_on_the_seed_and_not_on_earlier_work(technique):
    learned, validation, _ = digits(technique)
    states = []
    for noise, seed in ((0, 7), (1, 7), (1, 8)):
        detector = build(technique)
        torch.manual_seed(noise)
        if noise:
            run(build("dct"), *digits("dct")[:2], images=320)
            torch.rand(17)
        run(detector, learned, validation, seed=seed)
        states.append(detector.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    if isinstance(build(technique), LearnedDetector):  # a fitted one sees all examples at once, for any seed
        assert not all(torch.equal(value, states[2][name]) for name, value in states[0].items())


def test_a_detector_does_not_depend_on_the_others_it_is_trained_with():
    learned, validation, _ = digits("cnn")
    alone, first, second = (build("cnn") for _ in range(3))
    run(alone, learned, validation)
    together = partial(train_all, learned=learned, validation=validation, images=640, learning_rate=1e-2, patience=10)
    together({"dct": build("dct"), "it": first})
    together({"it": second, "dct": build("dct")})
    for name, value in alone.state_dict().items():
        assert torch.equal(value, first.state_dict()[name])
        assert torch.equal(value, second.state_dict()[name])


def test_groups_that_learn_side_by_side_are_those_that_learn_in_turn():
    """Each group has its own images, stopping and stream, as the judges of one fold and seed have."""
    learned, validation, _ = digits("cnn")
    gallery = Gallery(torch.cat([learned.images, validation.images]), EVIDENCE)
    stop = Labelled(torch.arange(len(learned.images), len(gallery)), validation.labels)

    def groups() -> list[BatchGroup]:
        halves = (torch.arange(start, len(learned.images), 2) for start in (0, 1))
        return [
            BatchGroup({"cnn": build("cnn"), "dct": build("dct")}, Labelled(half, learned.labels[half]), stop, seed)
            for seed, half in enumerate(halves)
        ]

    settings = {"settings": BatteryConfig(images=320, batch=64), "images": 320, "fresh": True, "machine": CPU}
    together, alone = groups(), groups()
    shown = train_battery(together, gallery, **settings)
    assert shown == sum(train_battery([group], gallery, **settings) for group in alone) == 2 * 320
    for one, other in zip(together, alone, strict=True):
        for name, detector in one.detectors.items():
            expected = other.detectors[name].state_dict()
            assert all(torch.equal(value, expected[key]) for key, value in detector.state_dict().items())
    first, second = (group.detectors["cnn"].state_dict()["network.stem.weight"] for group in together)
    assert not torch.equal(first, second)


def test_the_number_of_threads_changes_nothing():
    learned, validation, _ = digits("cnn")
    states = []
    for threads in (1, 2):
        with on_threads(threads):
            pair = {"one": build("cnn"), "two": build("dct")}
            train_all(pair, learned, validation, images=320)
        states.append(pair["one"].state_dict() | pair["two"].state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_retrained_detector_continues_from_its_state():
    learned, validation, _ = digits("dct")
    detector = build("dct")
    run(detector, learned, validation, images=2560)
    (mean,) = (value.clone() for name, value in detector.state_dict().items() if name.endswith("mean"))
    before = validation_auc(detector, validation)
    run(detector, learned, validation, images=1280, seed=1, fresh=False, learning_rate=1e-3)
    assert any(torch.equal(value, mean) for name, value in detector.state_dict().items() if name.endswith("mean"))
    assert validation_auc(detector, validation) > before - 0.02


# Batches and budget.


@pytest.mark.parametrize(("batch", "reals"), [(64, 32), (7, 4), (2, 1)])
def test_batches_are_half_reals_and_half_fakes_for_uneven_examples(batch, reals):
    detector = Scripted()
    run(detector, uneven(90, 10), uneven(10, 10), images=10 * batch, batch=batch, patience=100)
    assert len(detector.shown) == 10
    for brightness in detector.shown:
        assert len(brightness) == batch
        assert int((brightness == -1).sum()) == reals
        assert int((brightness == 1).sum()) == batch - reals


def test_every_step_draws_another_batch():
    learned, validation, _ = digits("dct")
    detector = Scripted()
    run(detector, learned, validation, images=640, patience=100)
    assert len({tuple(brightness.tolist()) for brightness in detector.shown}) == 10


@pytest.mark.parametrize(("images", "batch", "shown"), [(1000, 64, 960), (64, 64, 64), (639, 64, 576), (100, 3, 99)])
def test_training_stays_within_its_budget(images, batch, shown):
    learned, validation, _ = digits("dct")
    detector = build("dct")
    assert run(detector, learned, validation, images=images, batch=batch, patience=100) == shown
    assert next(detector.parameters()).device.type == "cpu"


@pytest.mark.parametrize(("fresh", "prepared"), [(True, 100), (False, 0)])
def test_only_fresh_detectors_are_prepared(fresh, prepared):
    detector = Scripted()
    run(detector, uneven(90, 10), uneven(10, 10), images=64, fresh=fresh)
    assert detector.prepared == prepared


def test_a_technique_without_need_of_fakes_is_fitted_on_reals_alone():
    class Recording(Head):
        labels: list[Tensor]

        def fit(self, train: Sample, validation: Sample, seed: int) -> None:
            self.labels = [train.labels, validation.labels]

        def logits(self, features: Tensor) -> Tensor:
            return features[:, 0].float()

    class OfReals(FittedDetector):
        artefact, differentiable, needs_fakes = "checkerboard", True, False

        def __init__(self) -> None:
            super().__init__(resolution=8, channels=1, levels=17)
            self.head = Recording()

        def features(self, images: Tensor) -> Tensor:
            return images.flatten(1)

    fitted = OfReals()
    train_all({"fitted": fitted}, uneven(90, 10), uneven(30, 10), images=640)
    assert isinstance(fitted.head, Recording)
    assert [len(labels) for labels in fitted.head.labels] == [90, 30]
    assert not any(bool(labels.any()) for labels in fitted.head.labels)


def test_a_detector_of_neither_kind_is_refused():
    class Stray(Detector):
        differentiable, artefact = True, "checkerboard"

        def forward(self, images: Tensor) -> Tensor:
            return images.mean((1, 2, 3))

    with pytest.raises(TypeError, match="Stray is neither"):
        run(Stray(resolution=8, channels=1, levels=17), uneven(9, 9), uneven(9, 9))


# Validation and early stopping.


@pytest.mark.parametrize(("images", "validations"), [(1, 1), (7, 1), (8, 2), (200, VALIDATIONS)])
def test_a_small_budget_has_few_validations(images, validations):
    detector = Scripted()
    run(detector, uneven(90, 10), uneven(30, 30), images=BATCH * images, patience=100)
    assert len(detector.validated_at) == validations


def test_early_stopping_uses_the_auc_of_all_validation_images():
    validation = uneven(30, 10)
    detector = Scripted([0.5, 0.5])
    gallery, labelled = Gallery(validation.images, EVIDENCE), Labelled(torch.arange(40), validation.labels)
    learner = Learner("it", detector, BatchGroup({"it": detector}, labelled, labelled, seed=0))
    CPU.fit(BatteryTraining([learner], gallery, BatteryConfig(images=8, batch=8)), range(1), validate_every=1)
    assert learner.best_auc == pytest.approx(validation_auc(detector, validation), abs=1e-9)


def test_the_final_state_is_that_of_the_highest_validation_auc():
    detector = Scripted([0.1, 0.2, 0.9, *[0.3] * VALIDATIONS])
    run(detector, uneven(90, 10), uneven(30, 30), images=BATCH * SPACING * VALIDATIONS, patience=VALIDATIONS)
    assert len(detector.validated_at) == VALIDATIONS
    assert int(detector.steps) == detector.validated_at[2] < detector.validated_at[-1]


def test_a_detector_without_progress_stops_while_others_continue():
    detectors = {"stalls": Scripted([0.1] * VALIDATIONS), "gains": Scripted()}
    shown = train_all(detectors, uneven(90, 10), uneven(30, 30), images=BATCH * 40, patience=2)
    assert len(detectors["stalls"].validated_at) == 3
    assert len(detectors["stalls"].shown) < len(detectors["gains"].shown) == 40
    assert shown == BATCH * 40


def test_training_ends_when_all_detectors_have_stopped():
    learned, validation, _ = digits("cnn")
    noise = Examples(learned.images, torch.randint(0, 2, (900,), generator=torch.Generator().manual_seed(0)))
    assert run(build("cnn"), noise, validation, images=6400, patience=2) < 6400 / 2
    assert run(build("cnn"), noise, validation, images=640, patience=100) == 640
