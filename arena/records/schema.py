"""Define the typed records of a race."""

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from arena.imaging.ladders import Degradation

Regime = Literal["frozen", "retrained", "fresh"]
AccessLevel = Literal["none", "gradients"]
"""What the generator knew of a technique, from nothing upwards."""


def highest_access(levels: Iterable[AccessLevel]) -> AccessLevel:
    """Return the highest of these levels; none of an empty sequence."""
    return max(levels, key=get_args(AccessLevel).index, default="none")


class ScoreFile(NamedTuple):
    """Where the per-image scores of a record lie, relative to the run directory, and their SHA-256."""

    file: str
    sha256: str


class Scores(NamedTuple):
    """Per-image scores of one technique on one test: arrays of equal length (N,).

    ``score`` is a float32 logit (higher means more fake), ``label`` is 0 for real and 1 for fake, ``image`` the image's
    id (its index in the data set, or in the test bank), ``fold`` the cross-fitting fold that tested it (0 for all where
    there are none), ``source`` what it comes from: of a real its person, where the data knows, else the image itself.
    """

    score: NDArray[np.float32]
    label: NDArray[np.uint8]
    image: NDArray[np.int64]
    fold: NDArray[np.uint8]
    source: NDArray[np.int64]

    def take(self, which: NDArray[np.bool_]) -> "Scores":
        """Those images."""
        return Scores(self.score[which], self.label[which], self.image[which], self.fold[which], self.source[which])


@dataclass(frozen=True, kw_only=True)
class ScoreRecord:
    """One technique's test of one generator round. AUC is signed: below 1/2 the sign is wrong, not the hiding good."""

    kind: ClassVar[str] = "score"
    round: int
    seed: int
    technique: str
    detector: str
    regime: Regime
    access: AccessLevel
    judge_seed: int | None
    generator_round: int
    detector_round: int
    auc: float
    auc_low: float
    auc_high: float
    p_above: float
    p_below: float
    average_precision: float
    tpr_at_1pct_fpr: float
    tpr_at_5pct_fpr: float
    eer: float
    log_loss: float
    n_real: int
    n_fake: int
    validation_auc: float | None
    scores: ScoreFile


@dataclass(frozen=True, kw_only=True)
class QualityRecord:
    """Are the images still images? Each figure stands beside what held-out reals give at equal n (``real_*``).

    All of them are of the feature space ``features``. The Frechet distances are extrapolated to endlessly many images,
    and None where n is too small for that.
    """

    kind: ClassVar[str] = "quality"
    round: int
    seed: int
    features: str
    n: int
    kernel_distance: float
    kernel_distance_error: float
    real_kernel_distance: float
    real_kernel_distance_error: float
    blurred_kernel_distance: float
    frechet_distance: float | None
    frechet_distance_error: float | None
    real_frechet_distance: float | None
    real_frechet_distance_error: float | None
    precision: float
    recall: float
    density: float
    coverage: float
    real_precision: float
    real_recall: float
    real_density: float
    real_coverage: float
    memorisation: float
    memorisation_low: float
    memorisation_high: float


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """A GAN in training, looked at after an interval; without figures where it diverged.

    ``variety`` is its coverage of its own training images, by which a collapse is told; ``fault`` is what was wrong,
    and why it was rolled back.
    """

    kind: ClassVar[str] = "training"
    round: int
    seed: int
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


@dataclass(frozen=True, kw_only=True)
class TechniqueRecord:
    """What a technique of the battery is, or (``reason`` not empty) why it was left out."""

    kind: ClassVar[str] = "technique"
    round: int
    seed: int
    technique: str
    reason: str
    artefact: str | None
    differentiable: bool | None
    needs_fakes: bool | None
    gan_aware: bool | None
    parameters: int | None


@dataclass(frozen=True, kw_only=True)
class FitnessRecord:
    """Is the judge fit? Its AUC on a planted artefact, or (``artefact`` None) at a share of its data and images."""

    kind: ClassVar[str] = "fitness"
    round: int
    seed: int
    technique: str
    artefact: str | None
    amplitude: float | None
    share: float
    judge_seed: int
    auc: float
    auc_low: float
    auc_high: float
    scores: ScoreFile


@dataclass(frozen=True, kw_only=True)
class MarginRecord:
    """What fresh judges reach once reals and fakes alike are degraded: of interest where their AUC is pinned at 1.

    The judges learned from images degraded in the same way, so that what falls is what there is to be seen and not
    their being used to it. ``level`` is in the unit of ``arena.imaging.ladders``.
    """

    kind: ClassVar[str] = "margin"
    round: int
    seed: int
    technique: str
    degradation: Degradation
    level: float
    judge_seed: int
    auc: float
    auc_low: float
    auc_high: float
    scores: ScoreFile


@dataclass(frozen=True, kw_only=True)
class ControlRecord:
    """A control whose outcome is known beforehand: what was expected, what was found, and whether it holds."""

    kind: ClassVar[str] = "control"
    round: int
    seed: int
    control: str
    technique: str
    expected: str
    found: float
    low: float
    high: float
    holds: bool


@dataclass(frozen=True, kw_only=True)
class ProvenanceRecord:
    """What differs between the files of reals and of fakes before anyone looks at pixels (rule of evidence 9)."""

    kind: ClassVar[str] = "provenance"
    round: int
    seed: int
    checked: bool
    differences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PhaseRecord:
    """The end of a phase, with its cost. It closes what the phase appended: with it the phase is done."""

    kind: ClassVar[str] = "phase"
    round: int
    seed: int
    phase: str
    player: str
    images: int
    seconds: float
    peak_memory_mib: float
    device: str
    precision: str


Record = (
    ScoreRecord
    | QualityRecord
    | TrainingRecord
    | TechniqueRecord
    | FitnessRecord
    | MarginRecord
    | ControlRecord
    | ProvenanceRecord
    | PhaseRecord
)
_KINDS: dict[str, type[Record]] = {kind.kind: kind for kind in get_args(Record)}


def to_json(record: Record) -> str:
    """One line, keys in the order of the contract, floats in full precision."""
    return json.dumps({"kind": record.kind} | dataclasses.asdict(record) | _scores_of(record))


def _scores_of(record: Record) -> dict[str, dict[str, str]]:
    scores = getattr(record, "scores", None)
    return {} if scores is None else {"scores": scores._asdict()}


def from_json(line: str) -> Record:
    """The record of one line.

    Raises:
        ValueError: if the line is no JSON object of a known kind with exactly its fields.
    """
    fields = json.loads(line)
    try:
        kind = _KINDS[fields.pop("kind")]
        if "scores" in fields:
            fields["scores"] = ScoreFile(**fields["scores"])
        if "differences" in fields:
            fields["differences"] = tuple(fields["differences"])
        return kind(**fields)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"no record of the arena: {error}") from error
