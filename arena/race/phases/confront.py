"""Step 2, confront: this round's fakes before the detectors of earlier rounds, untouched. Regime "frozen"."""

from arena.core.progress import Progress
from arena.race.judging import Evaluation, load_battery, score_records
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import Record
from arena.records.store import RecordBook


def confront(race: Race, book: RecordBook, progress: Progress, round_index: int, player: str) -> PhaseOutput:
    """Score G_round's fakes with the detectors of each earlier round.

    A frozen detector may be driven to AUC 0; that is no hiding, since turning its sign would catch everything (rule of
    evidence 3). The latest detectors are tested on the whole bank, older ones on a payoff cell.
    """
    records: list[Record] = []
    whole, cell = Evaluation.of(race, round_index, cell=False), Evaluation.of(race, round_index, cell=True)
    for detector_round in range(round_index):
        test = whole if detector_round == round_index - 1 else cell
        found = test.of_battery(race, *load_battery(race, detector_round))
        records += score_records(race, found, round_index, "frozen", round_index, detector_round)
    return PhaseOutput(records, len(whole.gallery))
