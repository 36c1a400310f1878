"""Scores for tests."""

import numpy as np

from arena.records.schema import Scores


def scores_of(real, fake, fold_real=None, fold_fake=None) -> Scores:
    """Scores of reals and fakes, in one fold by default; each image is its own source."""
    folds = [np.zeros(len(x)) if f is None else f for x, f in ((real, fold_real), (fake, fold_fake))]
    image = np.concatenate([np.arange(len(real)), np.arange(len(fake))])
    return Scores(
        score=np.concatenate([real, fake]).astype(np.float32),
        label=np.repeat([0, 1], [len(real), len(fake)]).astype(np.uint8),
        image=image,
        fold=np.concatenate(folds).astype(np.uint8),
        source=image,
    )
