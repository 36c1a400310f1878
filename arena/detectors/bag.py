"""The bag: n images of one source judged together (Cozzolino et al. 2021 do so with the frames of a video)."""

from dataclasses import dataclass

import numpy as np

from arena.config import require
from arena.records import Scores


@dataclass(frozen=True)
class Bag:
    """Who makes one fake makes many: of images known to be all real or all fake, the mean logit is judged.

    Independent logits of separation d' have d' sqrt(n) together, so that what hides one image at a time may be caught
    by the dozen. Another question than that of one image; a battery has a bag only where it asks for one.

    Args:
        n: images of a bag.

    Raises:
        ArenaError: for a bag of fewer than two.
    """

    n: int

    def __post_init__(self) -> None:
        require(self.n >= 2, "battery.bag.n", self.n, "at least 2 images")

    def __call__(self, scores: Scores) -> Scores:
        """Scores of bags, disjoint and each of one class and one fold; images that fill no bag are left out.

        A bag's id and source are those of its first image.
        """
        parts: list[Scores] = []
        for fold in np.unique(scores.fold):
            for label in (0, 1):
                part = scores.take((scores.fold == fold) & (scores.label == label))
                full = len(part.score) // self.n * self.n
                means = part.score[:full].reshape(-1, self.n).mean(1, dtype=np.float64).astype(np.float32)
                first = part.take(np.arange(len(part.score)) % self.n == 0)
                count = len(means)
                first = first.take(np.arange(len(first.score)) < count)
                parts.append(first._replace(score=means))
        return Scores(*(np.concatenate(column) for column in zip(*parts, strict=True)))
