"""The cross matrix of a condition: fresh judges of each run, tested on the fakes of every run that shares its reals.

Row i holds the judges of run i, column j the fakes of run j, both of the last round. The diagonal is a run's own
verdict. Off the diagonal the judges learned from another instance of the generator, so that what they detect is shared
by the instances. These are the held-out classifiers of Pathak & Dufour (CVPR 2023).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from arena.answer.estimate import Estimate, estimate
from arena.answer.findings import Finding, findings_of_estimates
from arena.answer.runs import FinishedRun
from arena.metrics.auc import Influence, combine, mean
from arena.metrics.interval import Interval
from arena.records.schema import ScoreRecord


@dataclass(frozen=True, eq=False)
class CrossMatrix:
    """The matrix of one technique.

    Args:
        technique: its name.
        seeds: (N,) seed of each run.
        cells: (N, N) AUC with its 95% interval over images and judge seeds: judges of a run down, fakes across.
        own: mean of the diagonal.
        others: mean off the diagonal.
        difference: the first less the second.
    """

    technique: str
    seeds: tuple[int, ...]
    cells: tuple[tuple[Interval, ...], ...]
    own: Estimate
    others: Estimate
    difference: Estimate


def cross_matrices(runs: Sequence[FinishedRun]) -> dict[str, CrossMatrix]:
    """Return the matrix of each technique that the judges of every run have tested on the fakes of every other."""
    matrices = {name: cross_matrix(runs, name) for name in runs[0].declared.techniques}
    return {name: matrix for name, matrix in matrices.items() if matrix is not None}


def cross_matrix(runs: Sequence[FinishedRun], technique: str) -> CrossMatrix | None:
    """Return the matrix of one technique over two runs or more. None where a cell is missing."""
    columns = [_column(runs, number, technique) for number in range(len(runs))]
    if len(runs) < 2 or not all(all(column) for column in columns):
        return None
    judged = [[columns[j][i] for j in range(len(runs))] for i in range(len(runs))]
    cells = [[mean(judges) for judges in row] for row in judged]
    own = [cells[number][number] for number in range(len(runs))]
    apart = leave_one_out(cells)
    less = [combine(pair, (1.0, -1.0)) for pair in zip(own, apart, strict=True)]
    of_pairs = [[each] for each in apart], [[each] for each in less]
    if len(runs) == 2:  # both cells have both runs in common, so their spread is no spread of runs
        of_pairs = [apart], [less]
    return CrossMatrix(
        technique,
        tuple(run.seed for run in runs),
        tuple(tuple(estimate([judges]).interval().clipped() for judges in row) for row in judged),
        estimate([[each] for each in own]),
        *map(estimate, of_pairs),
    )


def leave_one_out(cells: Sequence[Sequence[Influence]]) -> list[Influence]:
    """Return a value for each of N runs, the mean of which is the mean off the diagonal of an (N, N) matrix.

    Two cells that share a run are not independent. The mean off the diagonal is a U-statistic of pairs of runs, and the
    spread of its jackknife pseudo-values gives its error (Arvesen 1969). That of run r is N U - (N - 1) U', where U' is
    the mean without row and column r. Of two runs there is no U', and each has the cell of its fakes.
    """
    count = len(cells)
    pairs = [(i, j) for i in range(count) for j in range(count) if i != j]
    if count == 2:
        return [cells[1][0], cells[0][1]]
    near, far = 1 / (count - 1), -1 / ((count - 1) * (count - 2))
    weights = [[near if run in pair else far for pair in pairs] for run in range(count)]
    values = [combine([cells[i][j] for i, j in pairs], each) for each in weights]
    # One value may lie outside of [0, 1], but their mean is a mean of AUCs.
    return [replace(value, share=all(cells[i][j].share for i, j in pairs)) for value in values]


def _column(runs: Sequence[FinishedRun], number: int, technique: str) -> list[list[Influence]]:
    """Tests of one run's fakes by the judges of each run. An empty list where they are not all on record."""
    run = runs[number]
    by_run = transferred(run, technique) | {run.seed: list(run.fresh(technique).values())}
    column = [by_run.get(other.seed, []) for other in runs]
    complete = len({other.seed for other in runs}) == len(runs) and all(
        other.declared.judge_reals == run.declared.judge_reals for other in runs
    )
    return [
        run.influences(tests, number) if complete and len(tests) >= run.declared.judge_seeds else [] for tests in column
    ]


def transferred(run: FinishedRun, technique: str) -> dict[int, list[ScoreRecord]]:
    """Return the seed of another run -> the tests of this run's last fakes by that run's fresh judges."""
    tests: dict[int, dict[int, ScoreRecord]] = {}
    for record in run.of_kind(ScoreRecord):
        wanted = (record.regime, record.technique, record.generator_round)
        if wanted != ("transferred", technique, run.declared.last_round):
            continue
        if record.judge_run is not None and record.judge_seed is not None:
            tests.setdefault(record.judge_run, {})[record.judge_seed] = record
    return {seed: list(judges.values()) for seed, judges in tests.items()}


def transferred_estimate(runs: Sequence[FinishedRun], technique: str) -> Estimate | None:
    """Return the mean AUC of judges that learned from other instances of the generator, or None where none was tested.

    Of one run it is the mean over the other runs whose judges tested its fakes. With several such runs the judges of
    each are averaged first. With one, its judges are the repeats. Of several runs it is the mean off the diagonal of
    their matrix.
    """
    if len(runs) > 1:
        matrix = cross_matrix(runs, technique)
        return matrix and matrix.others
    run = runs[0]
    judged = [run.influences(tests) for tests in transferred(run, technique).values()]
    if not judged:
        return None
    return estimate([judged[0] if len(judged) == 1 else [mean(judges) for judges in judged]])


def cross_in_words(matrices: dict[str, CrossMatrix], margin: float, alpha: float) -> list[str]:
    """Return what the protocol of Pathak & Dufour (2023) concludes: a rule, a line for each technique, and the answer.

    Held-out judges are those of the other runs. They catch a technique where their mean AUC is shown to be above
    1/2 + margin, and are fooled where it is shown to be below.
    """
    if not matrices:
        return []
    found = findings_of_estimates({name: matrix.others for name, matrix in matrices.items()}, margin, alpha)
    first = next(iter(matrices.values()))
    runs = len(first.seeds)
    lines = [
        f"Held-out judges ({runs} runs, {runs * (runs - 1)} pairs): trained on other runs' fakes of the same round, as "
        f"in Pathak & Dufour (2023). They catch if their mean AUC is shown to be above {0.5 + margin:g}, and are "
        "fooled if it is shown to be below."
    ]
    words = {"caught": "catch", "passes": "are fooled", "undecided": "are undecided"}
    for name, matrix in matrices.items():
        others, own = matrix.others.interval().clipped(), matrix.own.value
        less = matrix.difference.interval()
        lines.append(
            f"  {name}: held-out judges {words[found[name]]}, AUC {others.value:.3f} [{others.low:.3f}, "
            f"{others.high:.3f}]; own judges {own:.3f}, more by {less.value:+.3f} [{less.low:+.3f}, {less.high:+.3f}]"
        )
    return [*lines, _conclusion(found)]


def _conclusion(found: dict[str, Finding]) -> str:
    caught = [name for name, finding in found.items() if finding == "caught"]
    fooled = [name for name, finding in found.items() if finding == "passes"]
    if caught:
        return (
            f"Conclusion: the generator does not fool held-out judges. The runs share what {', '.join(caught)} "
            f"detect{'s' if len(caught) == 1 else ''}."
        )
    if len(fooled) == len(found):
        return "Conclusion: the generator fools the held-out judges of every technique."
    open_still = ", ".join(name for name in found if name not in fooled)
    return f"Conclusion: undecided. No held-out judges are shown to catch, and {open_still} may."
