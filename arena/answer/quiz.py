"""The quiz "Can you tell which are real?": images the fresh judges tested, real or fake by the toss of a coin.

All of it follows from what the run wrote: the page that asks and the reader of the answers build the same quiz, and
nothing but the answers need be saved.
"""

import hashlib
import json
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from arena.answer.finished import FinishedRun
from arena.config import BAG
from arena.errors import ArenaError
from arena.records import Scores, read_scores
from arena.seeding import derive_seed

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
