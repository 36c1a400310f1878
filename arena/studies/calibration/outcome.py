"""What was found of one technique in one trial: a line of the study's file."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple, get_type_hints

import numpy as np
from scipy.stats import t

from arena.core.errors import ArenaError
from arena.core.files import write_atomically
from arena.metrics.auc import FOLD_DEPENDENCE

CHANCE = 0.5


class Outcome(NamedTuple):
    """A technique's estimate and finding in one trial, and the answer of that trial.

    Args:
        arm: of the study, whose data and battery all its trials share.
        control: oracle, copycat or planted.
        artefact: that was planted; "" for none.
        amplitude: of the artefact, in grey levels of the data; 0 for none.
        trial: its number, which is every seed of it.
        technique: its name.
        n_real: reals tested.
        n_fake: fakes tested.
        auc: of its fresh judges.
        of_images: variance that falls with the images.
        of_reals: the part of it that the reals have, who are in it ``FOLD_DEPENDENCE`` times what DeLong gives them.
        of_judges: variance that falls with the judges' number.
        df: degrees of freedom of the two together.
        finding: passes, caught, undecided or unfit.
        needed: test images of each class that would decide, where it is undecided for want of them; else 0.
        answer: of the trial.
    """

    arm: str
    control: str
    artefact: str
    amplitude: int
    trial: int
    technique: str
    n_real: int
    n_fake: int
    auc: float
    of_images: float
    of_reals: float
    of_judges: float
    df: float
    finding: str
    needed: int
    answer: str

    def error(self, meetings: float = FOLD_DEPENDENCE) -> float:
        """Standard error of the AUC: the verdict's; or, where ``meetings`` is 1, were the folds independent."""
        of_reals = self.of_reals * (1 - meetings / FOLD_DEPENDENCE)
        return float(np.sqrt(self.of_images - of_reals + self.of_judges))

    def z(self, meetings: float = FOLD_DEPENDENCE) -> float:
        """How many standard errors the AUC is from chance."""
        return (self.auc - CHANCE) / self.error(meetings)

    def holds_chance(self, confidence: float, meetings: float = FOLD_DEPENDENCE) -> bool:
        """Whether the two-sided interval holds 1/2."""
        return abs(self.z(meetings)) <= float(t.isf((1 - confidence) / 2, self.df))


COLUMNS = Outcome._fields
_TYPES = get_type_hints(Outcome)


def read(path: Path) -> Iterator[Outcome]:
    """The lines of a study.

    Raises:
        ArenaError: where the file is none.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(next(reader, ())) != COLUMNS:
            raise ArenaError(f"{path}: expected the outcomes of a calibration study, {','.join(COLUMNS)}")
        for number, row in enumerate(reader, start=2):
            try:
                yield Outcome(*(_TYPES[key](cell) for key, cell in zip(COLUMNS, row, strict=True)))
            except ValueError as error:
                raise ArenaError(f"{path}: line {number}: expected {','.join(COLUMNS)}") from error


def write(path: Path, outcomes: Iterable[Outcome]) -> None:
    """All lines, whole or not at all."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *(map(_cell, outcome) for outcome in outcomes)])
    write_atomically(path, text.getvalue().encode())


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
