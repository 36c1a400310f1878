"""The technique "human": what people said of the images of the quiz, from the files its page saves.

A file is never trusted for the truth: the quiz is built again from the run, and the file must have its id. What a
person took for a fake scores +1, what they took for a real image -1, so that their AUC is their balanced accuracy.
Nobody showed them a planted artefact, so nobody knows that they are fit to judge: people can catch, and clear nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arena.answer.estimate import Estimate, estimate
from arena.answer.finished import FinishedRun
from arena.answer.quiz import FORMAT, Quiz, judged_by, read_quiz
from arena.errors import ArenaError
from arena.metrics.delong import influence
from arena.records import Scores

HUMAN = "human"
_KEYS = {"format", "quiz", "answers"}
_SAID = {"real": -1.0, "fake": 1.0}


@dataclass(frozen=True)
class Answers:
    """One person's answers.

    Args:
        path: the file.
        quiz: id of the quiz.
        name: whatever they called themselves, or empty.
        said: number of the image, from 1 -> +1 for said fake, -1 for said real; images they did not get to are absent.
    """

    path: Path
    quiz: str
    name: str
    said: Mapping[int, float]


@dataclass(frozen=True, eq=False)
class People:
    """What people found in the runs of one condition.

    Args:
        estimate: their AUC: in one run people are its judges; over several, their mean is a run's.
        persons: files of answers.
        images: different images they answered.
    """

    estimate: Estimate
    persons: int
    images: int


def read_answers(path: Path) -> Answers:
    """The answers in a file that the page saved.

    Raises:
        ArenaError: one line, if it is no such file, or has a key missing, twice, unknown, or of an unknown value.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (OSError, UnicodeDecodeError) as error:
        raise ArenaError(f"{path}: expected the file of answers that the quiz in report.html saves") from error
    except RecursionError as error:
        raise ArenaError(f"{path}: no answers to the quiz (nested too deep)") from error
    except ValueError as error:
        raise ArenaError(f"{path}: no answers to the quiz ({error})") from error
    if not isinstance(found, dict):
        raise ArenaError(f"{path}: expected an object with the keys {', '.join(sorted(_KEYS))}")
    for wrong, keys in (("missing", _KEYS - found.keys()), ("unknown", found.keys() - _KEYS - {"name"})):
        if keys:
            raise ArenaError(f"{path}: {wrong} key {', '.join(map(repr, sorted(keys)))}")
    answers, quiz, name = found["answers"], found["quiz"], found.get("name", "")
    if found["format"] != FORMAT or isinstance(found["format"], bool):
        raise ArenaError(f"{path}: format {found['format']!r}, expected {FORMAT}")
    for key, value, kind in (("quiz", quiz, str), ("name", name, str), ("answers", answers, dict)):
        if not isinstance(value, kind):
            expected = "an object of answers by number of the image" if kind is dict else "text"
            raise ArenaError(f"{path}: {key} must be {expected}")
    if not answers:
        raise ArenaError(f"{path}: no image was answered")
    said = {}
    for key, value in answers.items():
        if not re.fullmatch("[1-9][0-9]{0,5}", key):
            raise ArenaError(f"{path}: answers: {key!r} is not the number of an image")
        if not isinstance(value, str) or value not in _SAID:
            raise ArenaError(f"{path}: answers: image {key} is {value!r}, expected 'real' or 'fake'")
        said[int(key)] = _SAID[value]
    return Answers(path, quiz, name, said)


def sort_answers(files: Sequence[Path], runs: Sequence[FinishedRun]) -> dict[Path, list[Scores]]:
    """The answers in some files, as scores of the run whose quiz they have: run directory -> one ``Scores`` a person.

    Raises:
        ArenaError: one line naming the file that cannot be read, is of none of the runs, or counts somebody twice.
    """
    given = [read_answers(path) for path in files]
    quizzes = {quiz.id: (run, quiz) for run in runs if (quiz := read_quiz(run)) is not None}
    found: dict[Path, list[Scores]] = {}
    for number, its in enumerate(given):
        if its.quiz not in quizzes:
            raise ArenaError(f"{its.path}: answers the quiz {its.quiz!r}, which is of none of the runs given")
        for other in given[:number]:
            same_person = its.name == other.name if its.name else not other.name and its.said == other.said
            if its.quiz == other.quiz and same_person:
                raise ArenaError(
                    f"{its.path} and {other.path}: the same person answers the same quiz: name one of them"
                )
        run, quiz = quizzes[its.quiz]
        found.setdefault(run.path, []).append(_scores(its, quiz, _sources(run, quiz)))
    return found


def people(runs: Sequence[FinishedRun], answered: Mapping[Path, Sequence[Scores]]) -> People | None:
    """What people found in the runs of a condition; None where nobody answered a quiz of theirs."""
    asked = [(bank, answered[run.path]) for bank, run in enumerate(runs) if run.path in answered]
    if not asked:
        return None
    found = estimate([[influence(scores, bank) for scores in persons] for bank, persons in asked])
    images = {
        (bank, *key)
        for bank, persons in asked
        for scores in persons
        for key in zip(scores.label.tolist(), scores.image.tolist(), strict=True)
    }
    return People(found, sum(len(persons) for _, persons in asked), len(images))


def _scores(answers: Answers, quiz: Quiz, source: NDArray[np.int64]) -> Scores:
    """One person's answers as scores of the images they got to.

    Raises:
        ArenaError: if they answer an image the quiz does not have, or too few of a class for an error bar.
    """
    if max(answers.said) > len(quiz.label):
        raise ArenaError(f"{answers.path}: answers: no image {max(answers.said)}, the quiz has {len(quiz.label)}")
    which = np.array(sorted(answers.said)) - 1
    label = quiz.label[which]
    if min(np.bincount(label, minlength=2)) < 2:
        raise ArenaError(f"{answers.path}: {len(which)} images answered, expected two of each class or more")
    score = np.array([answers.said[number] for number in sorted(answers.said)], dtype=np.float32)
    return Scores(score, label, quiz.image[which], np.zeros(len(which), dtype=np.uint8), source[which])


def _sources(run: FinishedRun, quiz: Quiz) -> NDArray[np.int64]:
    """What each image comes from, as the judges' scores say: where persons are known, their images err together."""
    return next((its[0].source for its in judged_by(run, quiz).values()), quiz.image)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"key {key!r} twice")
    return dict(pairs)
