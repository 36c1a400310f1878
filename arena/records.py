"""The wall between the wings: what a race writes down, and all that its figures and its verdict may read.

``records.jsonl`` is append-only, one JSON object a line. A phase appends its records in one write, closed by its
``PhaseRecord``; lines after the last closing record are what a kill left of an unfinished phase, and are dropped when
the race goes on. Scores lie beside the records, one npz a record, with dates of no meaning so that equal scores make
equal files.
"""

import dataclasses
import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from arena.degradation import Degradation
from arena.errors import ArenaError

Regime = Literal["frozen", "retrained", "fresh"]


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
    told: bool
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
    insider: bool | None
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
    their being used to it. ``level`` is in the unit of ``arena.degradation``.
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


def read_records(run: Path) -> list[Record]:
    """Every record of a run whose phase was finished, in the order written.

    Raises:
        ArenaError: if the run has no records, or a line that is no record.
    """
    path = run / "records.jsonl"
    if not path.is_file():
        raise ArenaError(f"{run}: expected the directory of a run, with a records.jsonl in it")
    return [from_line(path, number, line) for number, line in enumerate(finished_lines(path), 1)]


def from_line(path: Path, number: int, line: str) -> Record:
    """``from_json`` for a user's file: what is wrong is said with file and line."""
    try:
        return from_json(line)
    except ValueError as error:
        raise ArenaError(f"{path}, line {number}: {error}") from error


def finished_lines(path: Path) -> list[str]:
    """The lines of ``records.jsonl`` up to the last one that closes a phase; a torn last line is not among them."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    closing = [number for number, line in enumerate(lines, 1) if line.endswith("\n") and '"kind": "phase"' in line]
    return lines[: closing[-1]] if closing else []


class RecordBook:
    """The records of a race under way: what is there, less an unfinished phase's lines; appended to phase by phase."""

    def __init__(self, run: Path) -> None:
        self.path = run / "records.jsonl"
        finished = finished_lines(self.path)
        if self.path.is_file() and self.path.read_text(encoding="utf-8") != "".join(finished):
            write_atomically(self.path, "".join(finished).encode())
        self.records: list[Record] = [from_line(self.path, n, line) for n, line in enumerate(finished, 1)]

    def done(self, phase: str, round: int, player: str) -> bool:
        """Whether that phase has closed its records."""
        return self.closed(phase, round, player) is not None

    def closed(self, phase: str, round: int, player: str) -> PhaseRecord | None:
        """The record with which that phase closed; None where it has not."""
        for record in self.records:
            is_phase = isinstance(record, PhaseRecord)
            if is_phase and (record.phase, record.round, record.player) == (phase, round, player):
                return record
        return None

    def append(self, records: list[Record]) -> None:
        """Append what a phase found, its ``PhaseRecord`` last, in one write that reaches the disk before it returns."""
        if not (records and isinstance(records[-1], PhaseRecord)):
            raise ValueError("the records of a phase end with its PhaseRecord")
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(to_json(record) + "\n" for record in records))
            file.flush()
            os.fsync(file.fileno())
        self.records.extend(records)


def write_scores(run: Path, name: str, scores: Scores) -> ScoreFile:
    """Write ``scores/<name>.npz`` under the run, byte for byte the same for the same scores, and say its hash."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for field, values in scores._asdict().items():
            array = BytesIO()
            np.lib.format.write_array(array, np.ascontiguousarray(values), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{field}.npy"), array.getvalue(), zipfile.ZIP_DEFLATED)
    path = _score_path(run, name)
    write_atomically(path, buffer.getvalue())
    return ScoreFile(path.relative_to(run).as_posix(), hashlib.sha256(buffer.getvalue()).hexdigest())


def read_scores(run: Path, scores: ScoreFile) -> Scores:
    """The scores of a record.

    Raises:
        ArenaError: if the file is missing, or is not the one the record speaks of.
    """
    path = run / scores.file
    if not path.is_file():
        raise ArenaError(f"{path}: the scores of a record are missing")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != scores.sha256:
        raise ArenaError(f"{path}: not the scores its record was made from (SHA-256 differs)")
    return _scores_in(content)


def scores_at(run: Path, name: str) -> Scores:
    """The scores written under that name, which no record speaks of yet."""
    return _scores_in(_score_path(run, name).read_bytes())


def _score_path(run: Path, name: str) -> Path:
    return run / "scores" / f"{name}.npz"


def _scores_in(content: bytes) -> Scores:
    with np.load(BytesIO(content), allow_pickle=False) as arrays:
        found = {field: arrays[field] for field in Scores._fields if field in arrays}
    # Scores of before sources were kept: every image was its own.
    return Scores(**{"source": found["image"]} | found)


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside, then rename: a reader or a resumed race sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    beside.replace(path)
