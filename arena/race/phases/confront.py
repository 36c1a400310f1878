"""Step 2, confront: test this round's fakes with the unchanged detectors of earlier rounds. Regime "frozen"."""

from arena.race.checkpoints import load_battery
from arena.race.evaluation import Evaluation
from arena.race.race import Race
from arena.race.runner import PhaseOutput
from arena.records.schema import Record


def confront(race: Race, round_index: int) -> PhaseOutput:
    """Score G_round's fakes with the detectors of each earlier round.

    A frozen detector may be driven to AUC 0. That does not hide the fakes, since the opposite sign would catch all of
    them (rule of evidence 3). The latest detectors test the whole bank, older ones a payoff cell.
    """
    records: list[Record] = []
    whole, cell = (Evaluation.of(race, round_index, cell=cell) for cell in (False, True))
    for detector_round in range(round_index):
        evaluation = whole if detector_round == round_index - 1 else cell
        records += evaluation.records(race, *load_battery(race, detector_round), detector_round)
    return PhaseOutput(records, len(whole.gallery))
