"""Define the typed records of a race: one kind a class, and one JSON object a line of ``records.jsonl``.

The figures of a judge (``Summary``), of a set of images (``Quality``) and of a cost (``Spent``) are base classes of the
records that hold them. All fields of a record therefore lie flat in its line, as
``pandas.read_json(path, lines=True)`` reads them.
"""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict

from arena.core.degradations import Degradation

Regime = Literal["frozen", "retrained", "fresh", "transferred"]
AccessLevel = Literal["none", "labels", "scores", "features", "gradients"]
"""Knowledge that the generator had of a technique, from nothing upwards."""


HALF = 0.5
"""Share of data and images of the judges that show what twice the data gains."""


def highest_access(levels: Iterable[AccessLevel]) -> AccessLevel:
    """Return the highest of these levels of access, ``none`` without any."""
    order = get_args(AccessLevel)
    return max(levels, key=order.index, default=order[0])


class Scores(NamedTuple):
    """Per-image scores of one technique in one evaluation: arrays of equal length (N,).

    ``score`` is a float32 logit; higher means more fake. ``label`` is 0 for real and 1 for fake. ``image`` is the
    index in the data set or in the test bank. ``fold`` is the cross-fitting fold in which the image was tested, 0
    without cross-fitting. ``source`` is the person on the image if the data names persons, else equal to ``image``.
    """

    score: NDArray[np.float32]
    label: NDArray[np.uint8]
    image: NDArray[np.int64]
    fold: NDArray[np.uint8]
    source: NDArray[np.int64]

    def take(self, which: NDArray[np.bool_] | NDArray[np.integer]) -> "Scores":
        """Return the scores of the images where ``which`` is true, or at these places."""
        return Scores(**{field: values[which] for field, values in self._asdict().items()})


@dataclass(frozen=True)
class ScoreFile:
    """File of the per-image scores of a record, relative to the run directory, and its SHA-256 (hex)."""

    file: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class AucEstimate:
    """Signed AUC of one judge with its 95% interval. Below 1/2 the sign of the scores is wrong."""

    auc: float
    auc_low: float
    auc_high: float

    def as_fields(self) -> dict[str, Any]:
        """Return AUC and interval alone, as keywords of a record."""
        return {"auc": self.auc, "auc_low": self.auc_low, "auc_high": self.auc_high}


@dataclass(frozen=True, kw_only=True)
class Summary(AucEstimate):
    """All figures of one judge's scores. ``p_above`` and ``p_below`` are the p-values of the one-sided tests.

    ``average_precision_chance`` is the average precision of uninformative scores, the share of fakes. True positive
    rates have 95% intervals. They are None where a fold has too few reals for one false positive.
    """

    p_above: float
    p_below: float
    average_precision: float
    average_precision_chance: float
    tpr_at_1pct_fpr: float | None
    tpr_at_1pct_fpr_low: float | None
    tpr_at_1pct_fpr_high: float | None
    tpr_at_5pct_fpr: float | None
    tpr_at_5pct_fpr_low: float | None
    tpr_at_5pct_fpr_high: float | None
    eer: float
    log_loss: float
    n_real: int
    n_fake: int


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Figures of a set of images beside reference reals; the functions of ``arena.metrics`` define them.

    Distances and neighbours use ``n`` images of either side, and compare only at equal ``n``. The Frechet distance and
    its error are None if ``n`` is too small for the number of features.
    """

    n: int
    kernel_distance: float
    kernel_distance_error: float
    frechet_distance: float | None
    frechet_distance_error: float | None
    precision: float
    recall: float
    density: float
    coverage: float
    memorisation: float
    memorisation_low: float
    memorisation_high: float


@dataclass(frozen=True, kw_only=True)
class GuardFigures:
    """Figures of a set of fakes that the guards of a verdict compare with a limit.

    Args:
        unit: the degradation of held-out reals whose kernel distance is the unit of the guard of quality, in words.
        unit_kernel_distance: that distance, at equal n.
        unit_kernel_distance_error: its standard error.
        near_copies: share of fakes nearer to one training image than held-out reals are (``metrics.memorisation``).
        near_copies_low: its lower bound.
        near_copies_chance: its largest value by chance.
        exact_copies: share of fakes that equal a training image.
        exact_copies_p: p that these are no more frequent than among held-out reals.
        copied_at_most: upper bound on the share of copies, from ``memorisation_high``.
        class_attribute: the attribute whose classes differ most from those of reals. It and the figures of classes are
            None where no attribute of the data can be read.
        class_distance: total variation between the classes of fakes and of held-out reals, with its 95% interval.
        unrecognised: share of fakes that the classifier of that attribute does not recognise, 0.05 of reals.
        missing_classes: classes that the fakes lack.
    """

    unit: str
    unit_kernel_distance: float
    unit_kernel_distance_error: float
    near_copies: float
    near_copies_low: float
    near_copies_chance: float
    exact_copies: float
    exact_copies_p: float
    copied_at_most: float
    class_attribute: str | None
    class_distance: float | None
    class_distance_low: float | None
    class_distance_high: float | None
    unrecognised: float | None
    missing_classes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What training cost, beside images and seconds.

    Args:
        generator_updates: steps of the generator.
        discriminator_updates: steps of its own discriminator.
        detector_updates: steps of detectors that learn by gradient, summed over the detectors.
        queries: images of which the generator asked a score or a label.
        multiply_accumulates: of convolutions, matrix products and attention in these steps, forward and backward.
    """

    generator_updates: int = 0
    discriminator_updates: int = 0
    detector_updates: int = 0
    queries: int = 0
    multiply_accumulates: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        """Return the sum of both."""
        names = [each.name for each in dataclasses.fields(Spent)]
        return Spent(**{name: getattr(self, name) + getattr(other, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """Fakes at which the gradient of an attacked detector was looked at, and those where it was of no use.

    Args:
        fakes: looked at, once for each detector of the technique that pulled them.
        zero: where the gradient was exactly 0 in every pixel.
        not_finite: where a pixel of it was infinite or no number.
    """

    fakes: int
    zero: int
    not_finite: int


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Fields of every record."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid", strict=True)

    kind: str
    round: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class ScoreRecord(Summary, Entry):
    """Evaluation of one technique on the fakes of one generator round.

    ``judge_images`` is the budget of a fresh judge, in training images. At the last round it may grow until the judges
    no longer gain from more, and then one judge seed has a record for each budget. ``judge_run`` is the seed of the run
    whose fresh judges tested these fakes (regime "transferred"), None for detectors of this run.
    """

    kind: Literal["score"] = "score"
    technique: str
    detector: str
    regime: Regime
    access: AccessLevel
    judge_seed: int | None
    judge_images: int | None
    generator_round: int
    detector_round: int
    validation_auc: float | None
    scores: ScoreFile
    judge_run: int | None = None


@dataclass(frozen=True, kw_only=True)
class QualityRecord(Quality, GuardFigures, Entry):
    """Quality of a round's fakes in the feature space ``features``.

    The fields ``real_*`` are the figures of held-out reals at equal n.
    """

    kind: Literal["quality"] = "quality"
    features: str
    real_kernel_distance: float
    real_kernel_distance_error: float
    real_frechet_distance: float | None
    real_frechet_distance_error: float | None
    real_precision: float
    real_recall: float
    real_density: float
    real_coverage: float


@dataclass(frozen=True, kw_only=True)
class TrainingRecord(Entry):
    """State of a GAN in training after one interval. Its figures are None if training diverged.

    ``variety`` is the coverage of its own training images, by which a collapse is recognised. ``fault`` is the reason
    why the interval was rolled back. ``opponents`` holds the figures of the opponents at its end, such as ``cnn_auc``,
    the smoothed AUC of the live detectors of ``cnn`` on reals that none of them learned from.
    """

    kind: Literal["training"] = "training"
    purpose: str
    images: int
    images_seen: int
    n: int
    kernel_distance: float | None
    kernel_distance_error: float | None
    precision: float | None
    recall: float | None
    coverage: float | None
    memorisation: float | None
    memorisation_low: float | None
    memorisation_high: float | None
    variety: float | None
    augmentation: float
    learning_rate: float
    fault: str | None
    opponents: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TechniqueRecord(Entry):
    """Properties of a technique of the battery. A technique that was left out has a ``reason`` and no properties."""

    kind: Literal["technique"] = "technique"
    technique: str
    reason: str
    artefact: str | None
    differentiable: bool | None
    needs_fakes: bool | None
    gan_aware: bool | None
    parameters: int | None


@dataclass(frozen=True, kw_only=True)
class FitnessRecord(AucEstimate, Entry):
    """AUC of a judge on a planted artefact, or (``artefact`` None) with a share of its data and images."""

    kind: Literal["fitness"] = "fitness"
    technique: str
    artefact: str | None
    amplitude: float | None
    share: float
    judge_seed: int
    judge_images: int
    scores: ScoreFile


@dataclass(frozen=True, kw_only=True)
class MarginRecord(AucEstimate, Entry):
    """AUC of fresh judges on reals and fakes that are both degraded, where AUC is above 0.99 on validation.

    The judges are trained on images degraded in the same way, so that the AUC falls by lost evidence and not by a shift
    of the images. ``level`` is in the unit that ``arena.core.degradations`` names.
    """

    kind: Literal["margin"] = "margin"
    technique: str
    degradation: Degradation
    level: float
    judge_seed: int
    scores: ScoreFile


@dataclass(frozen=True, kw_only=True)
class ControlRecord(Entry):
    """Outcome of a control: expectation, AUC and whether it holds.

    ``holds`` is None for ``equal_n`` and ``floor``, whose outcome is not known beforehand: the race's own fakes, as few
    as the oracle's, and resampled reals of generator-train.
    """

    kind: Literal["control"] = "control"
    control: str
    technique: str
    expected: str
    found: float
    low: float
    high: float
    holds: bool | None


@dataclass(frozen=True, kw_only=True)
class ProbeRecord(AucEstimate, Entry):
    """AUC of fresh probes on the fakes of one snapshot of a response, tested on reals of the loop.

    Args:
        technique: its name. The AUC of the stack is the figure by which branches and snapshots are chosen.
        multiplier: of the opponents' pull in its branch. None at the start, which the branches share.
        images: that the branch had been shown in this response.
        spent: images that all branches together had been shown.
        continued: whether training went on from this snapshot.
        chosen: whether it ended the response.
    """

    kind: Literal["probe"] = "probe"
    technique: str
    multiplier: float | None
    images: int
    spent: int
    continued: bool
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class ResamplingRecord(AucEstimate, Entry):
    """AUC of fresh probes on fakes that were resampled with one shrink, tested on reals of the loop.

    Args:
        technique: its name. The AUC of the stack chooses the shrink.
        shrink: factor of the logit in the weights. 0 draws at random.
        accepted: share of the candidates that are drawn.
        effective: effective sample size of the weights (Kish), as a share of the candidates.
        chosen: whether the banks of this round have this shrink.
    """

    kind: Literal["resampling"] = "resampling"
    technique: str
    shrink: float
    accepted: float
    effective: float
    chosen: bool


@dataclass(frozen=True, kw_only=True)
class ProvenanceRecord(Entry):
    """Differences between the files of reals and of fakes, apart from their pixels (rule of evidence 9)."""

    kind: Literal["provenance"] = "provenance"
    checked: bool
    differences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GradientRecord(Gradients, Entry):
    """Zero gradients of an attacked technique in a response."""

    kind: Literal["gradient"] = "gradient"
    technique: str


@dataclass(frozen=True, kw_only=True)
class PhaseRecord(Spent, Entry):
    """End of a phase with its cost. The records before it count only once it is written.

    ``images`` are those trained on or scored. ``seconds`` are those since the phase was last started. ``files`` has the
    SHA-256 (hex) of each file that the phase wrote, relative to the run directory. Files of scores have theirs in their
    own records. ``sha256`` is that of the lines of the phase, with an empty ``sha256`` in this one.
    """

    kind: Literal["phase"] = "phase"
    phase: str
    player: str
    images: int
    seconds: float
    peak_memory_mib: float
    device: str
    precision: str
    files: dict[str, str] = dataclasses.field(default_factory=dict)
    sha256: str = ""

    @property
    def key(self) -> "PhaseKey":
        """Name, round and player, by which a run has each phase once."""
        return PhaseKey(self.phase, self.round, self.player)


class PhaseKey(NamedTuple):
    """Name, round and player of a phase."""

    phase: str
    round_index: int
    player: str


Record = (
    ScoreRecord
    | QualityRecord
    | TrainingRecord
    | TechniqueRecord
    | FitnessRecord
    | MarginRecord
    | ControlRecord
    | ProbeRecord
    | ResamplingRecord
    | ProvenanceRecord
    | GradientRecord
    | PhaseRecord
)


def kept_in(kind: type[Record], quality: Quality | None, prefix: str = "") -> dict[str, Any]:
    """Return the figures of ``quality`` that a kind of record has fields for, as its keywords.

    Args:
        kind: of the record.
        quality: the figures; None for a set of images that could not be measured.
        prefix: of the fields, such as ``real_``.
    """
    fields = {field.name for field in dataclasses.fields(kind)}
    names = [field.name for field in dataclasses.fields(Quality) if prefix + field.name in fields]
    return {prefix + name: quality and getattr(quality, name) for name in names}
