"""Tests of one run's fakes by the judges of other runs, added to synthetic runs, as ``arena cross`` adds them."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import norm

from arena.answer.runs import read_run
from arena.core.seeding import derive_seed
from arena.metrics.auc import summarise
from arena.records.schema import PhaseRecord
from arena.records.store import RecordBook, read_scores, write_scores


def crossed(paths: Sequence[Path], auc: Callable[[int, int, str], float]) -> list[Path]:
    """Record transferred tests of every run by the judges of every other.

    Args:
        paths: finished synthetic runs of one condition and one data seed.
        auc: number of the judges' run, number of the fakes' run, technique -> the AUC expected.
    """
    runs = [read_run(path) for path in paths]
    for i, judges in enumerate(runs):
        for j, run in enumerate(runs):
            if i == j:
                continue
            written = []
            for technique in run.declared.techniques:
                for judge, own in run.fresh(technique).items():
                    scores = read_scores(run.path, own.scores)
                    rng = np.random.default_rng(derive_seed(i, "cross", j, f"{technique}-{judge}"))
                    separation = np.sqrt(2.0) * norm.ppf(auc(i, j, technique))
                    score = scores.label * separation + rng.normal(size=len(scores.label))
                    scores = scores._replace(score=score.astype(np.float32))
                    file = write_scores(run.path, f"transferred-{technique}-{judges.seed}-{judge}", scores)
                    figures = dataclasses.asdict(summarise(scores, run.declared.answer.margin))
                    changed = {"regime": "transferred", "judge_run": judges.seed, "scores": file}
                    written.append(dataclasses.replace(own, **(figures | changed)))
            book = RecordBook(run.path)
            closing = next(record for record in reversed(book.records) if isinstance(record, PhaseRecord))
            phase = dataclasses.replace(closing, phase="cross", player=f"run of seed {judges.seed}", images=0)
            book.append([*written, phase])
    return list(paths)
