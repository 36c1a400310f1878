"""The quiz of the report, and the answers of people to it as one more technique."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arena.answer.estimate import Estimate, estimate
from arena.answer.runs import FinishedRun
from arena.config.schema import BAG
from arena.core.errors import ArenaError
from arena.core.files import load_arrays
from arena.core.seeding import derive_seed
from arena.metrics.auc import influence
from arena.records.integrity import check_files
from arena.records.layout import RunLayout
from arena.records.schema import Scores
from arena.records.store import read_scores

FORMAT = 1
"""Version of the quiz and of the file of answers. A change of the questions that a run asks needs another."""
ROWS, SCREENS = 2, 4
# Six small images fill a row. Three larger ones do, whose detail would otherwise be lost.
SMALL, ACROSS_SMALL, ACROSS_LARGE = 140, 6, 3
FEWEST = 2
"""Images of each class: placement values of one image have no variance."""
HUMAN = "human"
"""Name of people among the techniques."""


@dataclass(frozen=True, eq=False)
class Quiz:
    """The images of a quiz, in their order.

    Args:
        id: hexadecimal, of the run, its last round and these very images.
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
        """Return a judge's scores of these images in their order, or None if it did not test all of them."""
        place = {key: k for k, key in enumerate(zip(scores.label.tolist(), scores.image.tolist(), strict=True))}
        keys = list(zip(self.label.tolist(), self.image.tolist(), strict=True))
        if not all(key in place for key in keys):
            return None
        at = np.array([place[key] for key in keys])
        return scores.take(at)


def read_quiz(run: FinishedRun) -> Quiz | None:
    """Return the quiz of a run, or None where it kept too few images or none, as runs of earlier versions.

    Each image is real with probability 1/2, independently of the others. Guesses are then right half of the time, the
    number right is binomial, and counting the fakes so far gives nothing away.
    """
    path = RunLayout(run.path).judged
    if not path.is_file():
        return None
    check_files(run.path, [path])
    pools, ids = _read_images(path)
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


def _read_images(path: Path) -> tuple[list[NDArray[np.uint8]], list[NDArray[np.int64]]]:
    """Images and ids, the reals first."""
    reals, real_ids, fakes, fake_ids = load_arrays(path, ["reals", "real_ids", "fakes", "fake_ids"])
    pools, ids = [reals, fakes], [real_ids, fake_ids]
    shapes = {pool.shape[1:] for pool in pools}
    whole = all(len(pool) == len(np.unique(of)) == of.size for pool, of in zip(pools, ids, strict=True))
    if any(pool.dtype != np.uint8 or pool.ndim != 4 for pool in pools) or len(shapes) > 1 or not whole:
        raise ArenaError(f"{path}: expected uint8 (N, C, H, W) images of one size, each with an id of its own")
    return pools, [of.astype(np.int64) for of in ids]


def _tossed(seed: int, n: int) -> NDArray[np.uint8]:
    """Labels by n tosses of a coin, repeated until each class has ``FEWEST`` images."""
    attempts = ([derive_seed(seed, "quiz coin", k, str(attempt)) & 1 for k in range(n)] for attempt in count())
    label = next(label for label in attempts if FEWEST <= sum(label) <= n - FEWEST)
    return np.array(label, dtype=np.uint8)


def judged_by(run: FinishedRun, quiz: Quiz) -> dict[str, list[Scores]]:
    """Return technique -> the scores that each of its fresh judges gave the images of the quiz, in its order.

    Techniques are left out if a judge of theirs did not test all images. So is the bag, which judges many at once.
    """
    by_technique: dict[str, list[Scores]] = {}
    for technique in run.declared.techniques:
        judges = [quiz.among(read_scores(run.path, record.scores)) for record in run.fresh(technique).values()]
        complete = [scores for scores in judges if scores is not None]
        if complete and len(complete) == len(judges) and technique != BAG:
            by_technique[technique] = complete
    return by_technique


_KEYS = {"format", "quiz", "answers"}
_SCORES = {"real": -1.0, "fake": 1.0}


@dataclass(frozen=True)
class QuizAnswers:
    """One person's answers.

    Args:
        path: of the file.
        quiz: id of the quiz.
        name: that the person gave, or empty.
        scores: number of the image, from 1 -> +1 for the answer fake, -1 for real. Images without an answer are absent.
    """

    path: Path
    quiz: str
    name: str
    scores: Mapping[int, float]


@dataclass(frozen=True, eq=False)
class People:
    """The answers of people to the quizzes of the runs of one condition.

    Args:
        estimate: their AUC. In one run people are its judges. Over several, the mean of its people is a run's.
        persons: files of answers.
        images: different images that they answered.
    """

    estimate: Estimate
    persons: int
    images: int


def read_answers(path: Path) -> QuizAnswers:
    """Return the answers in a file that the page saved, or raise an ``ArenaError`` that names what is wrong."""
    try:
        saved = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_unique)
    except (OSError, UnicodeDecodeError) as error:
        raise ArenaError(f"{path}: expected the file of answers that the quiz in report.html saves") from error
    except RecursionError as error:
        raise ArenaError(f"{path}: no answers to the quiz (nested too deep)") from error
    except ValueError as error:
        raise ArenaError(f"{path}: no answers to the quiz ({error})") from error
    if not isinstance(saved, dict):
        raise ArenaError(f"{path}: expected an object with the keys {', '.join(sorted(_KEYS))}")
    for wrong, keys in (("missing", _KEYS - saved.keys()), ("unknown", saved.keys() - _KEYS - {"name"})):
        if keys:
            raise ArenaError(f"{path}: {wrong} key {', '.join(map(repr, sorted(keys)))}")
    answers, quiz, name = saved["answers"], saved["quiz"], saved.get("name", "")
    if saved["format"] != FORMAT or isinstance(saved["format"], bool):
        raise ArenaError(f"{path}: format {saved['format']!r}, expected {FORMAT}")
    for key, value, kind in (("quiz", quiz, str), ("name", name, str), ("answers", answers, dict)):
        if not isinstance(value, kind):
            expected = "an object of answers by number of the image" if kind is dict else "text"
            raise ArenaError(f"{path}: {key} must be {expected}")
    if not answers:
        raise ArenaError(f"{path}: no image was answered")
    scores = {}
    for key, value in answers.items():
        if not re.fullmatch("[1-9][0-9]{0,5}", key):
            raise ArenaError(f"{path}: answers: {key!r} is not the number of an image")
        if not isinstance(value, str) or value not in _SCORES:
            raise ArenaError(f"{path}: answers: image {key} is {value!r}, expected 'real' or 'fake'")
        scores[int(key)] = _SCORES[value]
    return QuizAnswers(path, quiz, name, scores)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ValueError(f"key {key!r} twice")
    return dict(pairs)


def sort_answers(files: Sequence[Path], runs: Sequence[FinishedRun]) -> dict[Path, list[Scores]]:
    """Assign files of answers to the runs whose quiz they answer: run directory -> one ``Scores`` a person.

    Raises:
        ArenaError: one line naming the file that cannot be read, answers no quiz of these runs, or repeats a person.
    """
    given = [read_answers(path) for path in files]
    quizzes = {quiz.id: (run, quiz) for run in runs if (quiz := read_quiz(run)) is not None}
    by_run: dict[Path, list[Scores]] = {}
    for number, one in enumerate(given):
        if one.quiz not in quizzes:
            raise ArenaError(f"{one.path}: answers the quiz {one.quiz!r}, which is of none of the runs given")
        for other in given[:number]:
            same_person = one.name == other.name if one.name else not other.name and one.scores == other.scores
            if one.quiz == other.quiz and same_person:
                raise ArenaError(
                    f"{one.path} and {other.path}: the same person answers the same quiz: name one of them"
                )
        run, quiz = quizzes[one.quiz]
        # Where persons are known, their images err together: the sources are those of the judges' scores.
        source = next((judges[0].source for judges in judged_by(run, quiz).values()), quiz.image)
        by_run.setdefault(run.path, []).append(_scores(one, quiz, source))
    return by_run


def _scores(answers: QuizAnswers, quiz: Quiz, source: NDArray[np.int64]) -> Scores:
    """One person's answers as scores of the images that they answered."""
    numbers = sorted(answers.scores)
    if numbers[-1] > len(quiz.label):
        raise ArenaError(f"{answers.path}: answers: no image {numbers[-1]}, the quiz has {len(quiz.label)}")
    which = np.array(numbers) - 1
    label = quiz.label[which]
    if min(np.bincount(label, minlength=2)) < FEWEST:
        raise ArenaError(f"{answers.path}: {len(which)} images answered, expected two of each class or more")
    score = np.array([answers.scores[number] for number in numbers], dtype=np.float32)
    return Scores(score, label, quiz.image[which], np.zeros(len(which), dtype=np.uint8), source[which])


def people(runs: Sequence[FinishedRun], answered: Mapping[Path, Sequence[Scores]]) -> People | None:
    """Return the AUC of people in the runs of a condition, or None where no quiz of theirs was answered."""
    asked = [(bank, answered[run.path]) for bank, run in enumerate(runs) if run.path in answered]
    if not asked:
        return None
    images = {
        (bank, *key)
        for bank, persons in asked
        for scores in persons
        for key in zip(scores.label.tolist(), scores.image.tolist(), strict=True)
    }
    auc = estimate([[influence(scores, bank) for scores in persons] for bank, persons in asked])
    return People(auc, sum(len(persons) for _, persons in asked), len(images))
