"""Step 2, confront: this round's fakes before the detectors of earlier rounds, untouched. Regime "frozen"."""

from arena.arena import Arena
from arena.phases.phase import Finding
from arena.phases.testing import Test, load_battery, score_records
from arena.progress import Progress
from arena.records import Record, RecordBook


def confront(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Score G_round's fakes with the detectors of each earlier round.

    A frozen detector may be driven to AUC 0; that is no hiding, since turning its sign would catch everything (rule of
    evidence 3). The latest detectors are tested on the whole bank, older ones on a payoff cell.
    """
    records: list[Record] = []
    whole, cell = Test.of(arena, round, cell=False), Test.of(arena, round, cell=True)
    for detector_round in range(round):
        test = whole if detector_round == round - 1 else cell
        found = test.of_battery(arena, *load_battery(arena, detector_round))
        records += score_records(arena, found, round, "frozen", round, detector_round)
    return Finding(records, len(whole.gallery))
