"""State verdict, limits and distances in plain English."""

from collections.abc import Mapping, Sequence

from arena.answer.findings import Guards, TechniqueFinding
from arena.answer.limit.bags import ImageCount
from arena.answer.limit.distance import DistanceSummary
from arena.answer.limit.limit import ASSUMPTION, FittedCurve, TechniqueLimit
from arena.answer.runs import Declared
from arena.imaging.ladders import LADDERS

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
    auc = its.estimate.interval().clipped()
    return f"AUC {auc.value:.3f} (95% CI {auc.low:.3f} to {auc.high:.3f}, {its.technique})"


def limits_in_words(found: Mapping[str, TechniqueLimit]) -> list[str]:
    """A sentence a curve; one for both where the stack is the strongest in every round."""
    curves = dict.fromkeys(its.fitted.curve.techniques for its in found.values())
    return [_limit(next(its for its in found.values() if its.fitted.curve.techniques == curve)) for curve in curves]


def _limit(found: TechniqueLimit) -> str:
    """Such as "Limit (stack): AUC 0.912 [0.890, 0.931] as rounds go on, if ...; less that of none: +0.02 [0.01, 0.03]".

    No data tell a flat curve from one about to move, so what is supposed is said.
    """
    if found.fitted.limit is None:
        return f"Limit ({found.kind}): {reason_in_words(found.fitted)}."
    parts = [f"AUC {interval_in_words(found.fitted)} as rounds go on, {ASSUMPTION}"]
    for name, control in found.controls.items():
        if control.difference is not None:
            parts.append(f"less that of {name}: {interval_in_words(control.difference, '+')}")
    if found.floor is not None:
        parts.append(f"an oracle is at {found.floor.value:.3f} [{found.floor.low:.3f}, {found.floor.high:.3f}]")
    return f"Limit ({found.kind}): {'; '.join(parts)}."


def distance_in_words(found: DistanceSummary) -> str:
    """Such as "Real and fake differ by a total variation of 0.83 or more, by 0.69 bits or more an image (stack)."."""
    if found.total_variation is None or found.jensen_shannon_bits is None:
        return f"How far apart real and fake are, the judges of {found.technique} left nothing on record to say."
    said = (
        f"Real and fake differ by a total variation of {found.total_variation:.3f} or more, by "
        f"{found.jensen_shannon_bits:.3f} bits or more an image ({found.technique}, 95%). "
    )
    measured, chernoff = found.images, found.images_chernoff
    if measured is not None and measured.n is not None:
        said += f"{_images(measured)} from one source make it right 99 times in 100"
        enough = chernoff is not None and chernoff.n is not None
        said += f", and {_count(chernoff)} do by Chernoff's bound." if chernoff and enough else "."
    elif chernoff is not None and chernoff.n is not None:
        said += f"{_images(chernoff)} from one source make it right 99 times in 100, by Chernoff's bound."
    else:
        said += "How many images from one source would make it right 99 times in 100, the scores are too weak to say."
    known = [f"{kind} {level:.3g} ({LADDERS[kind].unit})" for kind, level in found.margins.items() if level is not None]
    return said + (f" AUC falls to 0.75 under {', '.join(known)}." if known else "")


def _images(count: ImageCount) -> str:
    return f"{_count(count)} image{'' if count.n == 1 else 's'}"


def _count(count: ImageCount) -> str:
    """Such as "3 (2 to 5)", or "3 (3 or more)" where nothing bounds it from above."""
    high = "or more" if count.high is None else f"to {count.high:,}"
    return f"{count.n:,} ({count.low:,} {high})" if count.low is not None else f"{count.n:,}"


def interval_in_words(found: FittedCurve, sign: str = "") -> str:
    if found.limit is None:
        return reason_in_words(found)
    return f"{found.limit.value:{sign}.3f} [{found.limit.low:{sign}.3f}, {found.limit.high:{sign}.3f}]"


def reason_in_words(found: FittedCurve) -> str:
    return f"not identifiable ({found.reason})"
