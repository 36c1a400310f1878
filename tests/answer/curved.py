"""Finished runs whose fresh judges follow a given curve, with nothing else by round: made in a fraction of a second."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from arena.answer.runs import FinishedRun, read_run
from arena.records.schema import ResamplingRecord
from tests.synthetic import Bench, synthetic_run


def curved_run(
    folder: Path, aucs: Mapping[str, Sequence[float]], *, seed: int = 0, access: str = "white_box", n: int = 400
) -> FinishedRun:
    """AUC expected of each technique's judges by round; at the first round as ``synthetic_run`` has them."""
    first = {name: values[0] for name, values in aucs.items()}
    run = read_run(
        synthetic_run(
            folder / f"{access}-{seed}",
            techniques=first,
            seed=seed,
            access=access,
            rounds=0,
            folds=2,
            n_real=n,
            n_fake=n,
        )
    )
    bench = Bench(run.path, seed, 0, access, 2, n, n, 0.05, ())
    later = [
        bench.fresh(round_index, name, judge, auc)
        for name, values in aucs.items()
        for round_index, auc in list(enumerate(values))[1:]
        for judge in range(3)
    ]
    last = dataclasses.replace(run.declared, last_round=len(next(iter(aucs.values()))) - 1)
    return dataclasses.replace(run, records=(*run.records, *later), declared=last)


def resampled(run: FinishedRun, rounds: Iterable[int]) -> FinishedRun:
    """The run with a record for each round whose fakes were resampled."""
    records = [
        ResamplingRecord(
            round=number,
            seed=run.seed,
            technique="stack",
            shrink=1.0,
            accepted=0.25,
            effective=0.3,
            chosen=True,
            auc=0.6,
            auc_low=0.5,
            auc_high=0.7,
        )
        for number in rounds
    ]
    return dataclasses.replace(run, records=(*run.records, *records))
