"""Step 2, confront: this round's fakes before the detectors of earlier rounds, untouched. Regime "frozen"."""

import numpy as np
import torch
from safetensors.torch import load_file

from arena.arena import Arena
from arena.config import STACK
from arena.detectors.detector import Detector
from arena.detectors.stack import Stack
from arena.phases.phase import Finding
from arena.phases.testing import examine, score_record
from arena.progress import Progress
from arena.records import RecordBook, ScoreRecord, Scores, read_scores


def confront(arena: Arena, book: RecordBook, progress: Progress, round: int, player: str) -> Finding:
    """Score G_round's fakes with each earlier detector of one technique.

    A frozen detector may be driven to AUC 0; that is no hiding, since turning its sign would catch everything (rule of
    evidence 3). The latest detectors are tested on the whole bank, older ones on a payoff cell.
    """
    records = []
    for detector_round in range(round):
        cell = detector_round < round - 1
        scores = examine_saved(arena, book, player, round, detector_round, cell)
        records.append(
            score_record(
                arena,
                scores,
                round=round,
                technique=player,
                regime="frozen",
                generator_round=round,
                detector_round=detector_round,
            )
        )
    return Finding(list(records), sum(record.n_real + record.n_fake for record in records))


def examine_saved(
    arena: Arena, book: RecordBook, technique: str, generator_round: int, detector_round: int, cell: bool
) -> Scores:
    """Test a detector of an earlier round; the stack's test is made from its members' scores in the same test."""
    if technique != STACK:
        return examine(arena, load_detector(arena, technique, detector_round), generator_round, cell)
    assert arena.stack is not None
    stack = arena.stack(members=len(arena.members))
    stack.load_state_dict(load_file(arena.folder(detector_round) / "detectors" / f"{STACK}.safetensors"))
    tests = {
        record.technique: record
        for record in book.records
        if isinstance(record, ScoreRecord)
        and (record.generator_round, record.detector_round) == (generator_round, detector_round)
        and record.regime != "fresh"
    }
    return combine(stack, [read_scores(arena.run, tests[member].scores) for member in arena.members])


def combine(stack: Stack, members: list[Scores]) -> Scores:
    """The stack's scores in a test whose images each member has scored, in the same order."""
    logits = torch.from_numpy(np.stack([scores.score for scores in members], axis=1))
    return members[0]._replace(score=stack(logits).numpy())


def load_detector(arena: Arena, technique: str, round: int) -> Detector:
    """The detector of that technique as ``retrain`` left it in that round."""
    detector = arena.new_detector(technique, 0)
    detector.load_state_dict(load_file(arena.folder(round) / "detectors" / f"{technique}.safetensors"))
    return detector.to(arena.machine.device)
