"""What each side of a race spent, and the budget with which a control would have spent as much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from arena.answer.runs import FinishedRun
from arena.records.schema import PhaseRecord, Spent

SIDES = {
    "generator, warm-up": ("warm_up",),
    "generator, responses": ("respond",),
    "generator, resampling": ("forge",),
    "detectors in the loop": ("retrain",),
    "fresh judges": ("calibrate", "judge", "margin", "cross"),
}
"""Side -> its phases that train."""


@dataclass(frozen=True)
class Spending:
    """What one side spent over a race.

    Args:
        side: its name.
        images: shown in training.
        seconds: of its phases, testing included.
        spent: updates, queries and multiply-accumulates.
    """

    side: str
    images: int
    seconds: float
    spent: Spent


def spending(run: FinishedRun) -> list[Spending]:
    """Return what each side spent. A side without multiply-accumulates on record is left out."""
    listed = []
    for side, phases in SIDES.items():
        closed = [record for record in run.of_kind(PhaseRecord) if record.phase in phases]
        spent = sum(closed, Spent())
        if spent.multiply_accumulates:
            images, seconds = sum(each.images for each in closed), sum(each.seconds for each in closed)
            listed.append(Spending(side, images, seconds, spent))
    return listed


def compute_in_words(ours: Sequence[FinishedRun], control: Sequence[FinishedRun], name: str) -> str | None:
    """Return how many times the multiply-accumulates of a control a response took, and the budget that evens it out.

    None where one side has no response, or no multiply-accumulates on record.

    Args:
        ours: runs of a condition.
        control: runs of its control.
        name: of the control.
    """
    mine, theirs = per_response(ours), per_response(control)
    if not mine or not theirs:
        return None
    ratio, schedule = mine / theirs, control[0].config.get("schedule")
    shown = schedule.get("response_images") if isinstance(schedule, Mapping) else None
    said = f"A response took {ratio:.2f} times the multiply-accumulates of access={name}"
    if not isinstance(shown, int):
        return f"{said}."
    return f"{said}. With schedule.response_images={round(ratio * shown)} access={name} would take as many."


def per_response(runs: Sequence[FinishedRun]) -> float:
    """Mean multiply-accumulates of a response and of what resamples its fakes, 0 without any response."""
    phases = [record for run in runs for record in run.of_kind(PhaseRecord)]
    responses = [record for record in phases if record.phase == "respond"]
    resampling = [record for record in phases if record.phase == "forge" and record.round > 0]
    total = sum(record.multiply_accumulates for record in [*responses, *resampling])
    return total / len(responses) if responses else 0
