"""The answer in plain English: what no technique exceeded, with this battery, data and budget, and never more."""

from collections.abc import Sequence

from arena.answer.declared import Declared
from arena.answer.equivalence import TechniqueFinding
from arena.answer.guards import Guards

NAMED = 5
"""Most techniques the sentence names that caught, the highest AUC first; the table has all."""


def sentence(
    answer: str, found: Sequence[TechniqueFinding], held: Guards, terms: Declared, runs: int, one_origin: bool = False
) -> str:
    """One or two sentences, the first naming the answer.

    Args:
        answer: passes_all, caught, undecided or invalid.
        found: every technique's finding.
        held: the guards.
        terms: what was declared.
        runs: runs the finding rests on.
        one_origin: whether they all branched from one run, so that their errors leave its own luck out.
    """
    battery = [its for its in found if not its.people]
    people = next((its for its in found if its.people), None)
    said = _of_battery(answer, battery, held, terms, runs, one_origin)
    return said if people is None else f"{said} {_of_people(people)}"


def _of_battery(
    answer: str, found: Sequence[TechniqueFinding], held: Guards, terms: Declared, runs: int, one_origin: bool
) -> str:
    where = f"at round {terms.last_round}" + (f" of {runs} runs" if runs > 1 else "")
    where += " that all branched from one" if runs > 1 and one_origin else ""
    if answer == "invalid":
        return f"Invalid {where}: {_broken(held)}."
    caught = sorted((its for its in found if its.finding == "caught"), key=_auc, reverse=True)
    if caught:
        named = ", ".join(_with_interval(its) for its in caught[:NAMED])
        named += f" and {len(caught) - NAMED} more" if len(caught) > NAMED else ""
        return (
            f"Caught {where}: fresh judges of {len(caught)} of {len(found)} techniques in this battery, with this data "
            f"and budget, told the fakes from real images: {named}."
        )
    highest = max(found, key=_auc)
    exceeded = "left an AUC on record" if highest.estimate is None else f"exceeded {_with_interval(highest)}"
    no_more = f"no technique in this battery, with this data and budget, {exceeded}"
    bound = 0.5 + terms.answer.margin
    if answer == "passes_all":
        return (
            f"Passes all {where}: {no_more}, and fresh judges of all {len(found)} are below {bound:g} at one-sided "
            f"{1 - terms.answer.alpha:.0%} confidence, while quality, variety, memorisation and provenance held."
        )
    if answer == "caught":
        return f"Caught {where}, by people alone: {no_more}."
    reasons: dict[str, list[str]] = {}
    for its in found:
        if its.finding in ("undecided", "unfit"):
            reasons.setdefault(its.reason, []).append(its.technique)
    open_cases = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    cleared = sum(its.finding == "passes" for its in found)
    if cleared == len(found):
        return f"Undecided {where}: {no_more}, and all {cleared} are shown to be below {bound:g}, but people are not."
    return (
        f"Undecided {where}: {no_more}, but only {cleared} of {len(found)} are shown to be below {bound:g}. Open are "
        f"{open_cases}."
    )


def _of_people(its: TechniqueFinding) -> str:
    told = "told the fakes from real images" if its.finding == "caught" else "did not clearly tell them apart"
    return f"People {told}: {_with_interval(its)}; {its.reason}."


def _broken(held: Guards) -> str:
    reasons = []
    if not held.memorisation.holds:
        reasons.append(
            f"the generator memorised, {held.memorisation.figure:.0%} of its fakes lying nearer to its training images "
            f"than to as many others (chance 50%, limit {held.memorisation.threshold:.0%})"
        )
    if not held.quality.holds:
        reasons.append(
            f"the images lost their quality, a kernel distance of {held.quality.figure:.2f} times that of blurred "
            f"reals (limit {held.quality.threshold:g})"
        )
    if not held.variety.holds:
        reasons.append(
            f"the images lost their variety, {held.variety.figure:.0%} of what reals show (limit "
            f"{held.variety.threshold:.0%})"
        )
    if not held.provenance.holds:
        reasons.append(f"the files of reals and fakes differ in {held.provenance.figure:.0f} ways before anyone looks")
    return "; ".join(reasons)


def _auc(its: TechniqueFinding) -> float:
    return -1.0 if its.estimate is None else its.estimate.value


def _with_interval(its: TechniqueFinding) -> str:
    """Such as "AUC 0.515 (95% CI 0.494 to 0.536, cnn)": both bounds at 2.5%."""
    if its.estimate is None:
        return its.technique
    low, high = max(0.0, its.estimate.low(0.025)), min(1.0, its.estimate.high(0.025))
    return f"AUC {its.estimate.value:.3f} (95% CI {low:.3f} to {high:.3f}, {its.technique})"
