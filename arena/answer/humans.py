"""Read the answers of people to the quiz, as one more technique."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from arena.answer.estimate import Estimate, estimate
from arena.answer.runs import FinishedRun
from arena.config.schema import BAG
from arena.core.errors import ArenaError
from arena.core.seeding import derive_seed
from arena.metrics.auc import influence
from arena.records.schema import Scores
from arena.records.store import read_scores

FORMAT = 1
"""Of the quiz and of the file of answers: raised whenever the same run would ask other questions."""
ROWS, SCREENS = 2, 4
# Six small images fill a row; of larger ones, whose detail would be lost, three do.
SMALL, ACROSS_SMALL, ACROSS_LARGE = 140, 6, 3
# Of each class: with one image placement values have no variance.
FEWEST = 2


@dataclass(frozen=True, eq=False)
class Quiz:
    """What is asked, in the order it is asked.

    Args:
        id: of the run, its last round and these very images (hexadecimal).
        images: uint8 (N, C, H, W), as the judges saw them.
        label: uint8 (N,), 0 real, 1 fake.
        image: int64 (N,), ids as in the scores: index in the data set, or in the last round's test bank.
        across: images in one of the two rows of a screen.
    """

    id: str
    images: NDArray[np.uint8]
    label: NDArray[np.uint8]
    image: NDArray[np.int64]
    across: int

    def among(self, scores: Scores) -> Scores | None:
        """What a judge said of these images, in their order; None if it did not test all of them."""
        place = {key: k for k, key in enumerate(zip(scores.label.tolist(), scores.image.tolist(), strict=True))}
        keys = list(zip(self.label.tolist(), self.image.tolist(), strict=True))
        if not all(key in place for key in keys):
            return None
        at = np.array([place[key] for key in keys])
        return Scores(scores.score[at], scores.label[at], scores.image[at], scores.fold[at], scores.source[at])


def read_quiz(run: FinishedRun) -> Quiz | None:
    """The quiz of a run; None where it kept no images for one, as runs of earlier versions, or too few.

    Each image is real with probability 1/2, whatever the others are: who guesses gets half right however they guess,
    the number right is binomial, and counting tells nothing.

    Raises:
        ArenaError: if ``banks/judged.npz`` is not what ``forge`` writes.
    """
    path = run.path / "banks" / "judged.npz"
    if not path.is_file():
        return None
    pools, ids = _read(path)
    across = ACROSS_SMALL if pools[0].shape[-1] <= SMALL else ACROSS_LARGE
    screen = ROWS * across
    n = min(SCREENS * screen, *(len(pool) // screen * screen for pool in pools))
    if n == 0:
        return None
    about = [FORMAT, run.config.get("declared"), run.access, run.seed, run.declared.last_round, pools[0].shape[1:]]
    digest = hashlib.sha256(json.dumps(about).encode())
    for array in (*pools, *ids):
        digest.update(np.ascontiguousarray(array).tobytes())
    seed = int(digest.hexdigest()[:15], 16)
    label = _tossed(seed, n)
    orders = [sorted(range(len(ids[c])), key=lambda k, c=c: derive_seed(seed, "quiz order", k, str(c))) for c in (0, 1)]
    places = [iter(order) for order in orders]
    chosen = [(c, next(places[c])) for c in label.tolist()]
    image = np.array([ids[c][k] for c, k in chosen], dtype=np.int64)
    digest.update(label.tobytes() + image.tobytes())
    return Quiz(digest.hexdigest()[:16], np.stack([pools[c][k] for c, k in chosen]), label, image, across)


def judged_by(run: FinishedRun, quiz: Quiz) -> dict[str, list[Scores]]:
    """Technique -> what each of its fresh judges said of the quiz's images, in its order; without the bag's bags."""
    found: dict[str, list[Scores]] = {}
    for technique in run.declared.techniques:
        of_judges = [read_scores(run.path, record.scores) for record in run.fresh(technique).values()]
        these = [its for scores in of_judges if (its := quiz.among(scores)) is not None]
        if these and len(these) == len(of_judges) and technique != BAG:
            found[technique] = these
    return found


def _tossed(seed: int, n: int) -> NDArray[np.uint8]:
    """So many tosses, again where one class has next to none."""
    for attempt in count():
        label = np.array([derive_seed(seed, "quiz coin", k, str(attempt)) & 1 for k in range(n)], dtype=np.uint8)
        if FEWEST <= label.sum() <= n - FEWEST:
            return label
    raise AssertionError("unreachable")


def _read(path: Path) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int64]]]:
    """Images and ids, the reals first."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            pools, ids = [arrays["reals"], arrays["fakes"]], [arrays["real_ids"], arrays["fake_ids"]]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ArenaError(f"{path}: expected an npz with reals, real_ids, fakes and fake_ids") from error
    shapes = {pool.shape[1:] for pool in pools}
    whole = all(len(pool) == len(np.unique(of)) == of.size for pool, of in zip(pools, ids, strict=True))
    if any(pool.dtype != np.uint8 or pool.ndim != 4 for pool in pools) or len(shapes) > 1 or not whole:
        raise ArenaError(f"{path}: expected uint8 (N, C, H, W) images of one size, each with an id of its own")
    return pools, [of.astype(np.int64) for of in ids]


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
