"""State verdict, limits and distances in plain English."""

from collections.abc import Mapping, Sequence

from arena.answer.findings import Guards, TechniqueFinding
from arena.answer.limit.bags import ImageCount
from arena.answer.limit.distance import DistanceSummary
from arena.answer.limit.limit import ASSUMPTION, FittedCurve, TechniqueLimit
from arena.answer.runs import Declared
from arena.core.degradations import LADDERS

NAMED = 5
"""The most techniques that the sentence of a caught generator names, the highest AUC first. The table has all."""


def sentence(
    answer: str,
    findings: Sequence[TechniqueFinding],
    guards: Guards,
    terms: Declared,
    runs: int,
    one_origin: bool = False,
) -> str:
    """Return the verdict in a few sentences, of which the first names the answer.

    Args:
        answer: passes_all, caught, undecided or invalid.
        findings: of every technique, and of people.
        guards: of the images.
        terms: the declaration.
        runs: number of runs.
        one_origin: whether they all branched from one run, whose own luck their errors leave out.
    """
    where = f"at round {terms.last_round}" + (f" of {runs} runs" if runs > 1 else "")
    where += " that all branched from one" if runs > 1 and one_origin else ""
    battery = [each for each in findings if not each.people]
    people = [each for each in findings if each.people]
    if answer == "invalid":
        words = f"Invalid {where}: {_broken(guards)}."
    else:
        words = _of_battery(answer, battery, where, terms)
    return " ".join([words, *map(_of_people, people)])


def _of_battery(answer: str, findings: Sequence[TechniqueFinding], where: str, terms: Declared) -> str:
    bound, count = 0.5 + terms.answer.margin, len(findings)
    caught = sorted((each for each in findings if each.finding == "caught"), key=_auc, reverse=True)
    if caught:
        named = ", ".join(_with_interval(each) for each in caught[:NAMED])
        named += f" and {len(caught) - NAMED} more" if len(caught) > NAMED else ""
        return (
            f"Caught {where}: fresh judges of {len(caught)} of {count} techniques in this battery, with this data and "
            f"budget, detected the fakes: {named}."
        )
    highest = max(findings, key=_auc)
    exceeded = "left an AUC on record" if highest.estimate is None else f"exceeded {_with_interval(highest)}"
    no_more = f"no technique in this battery, with this data and budget, {exceeded}"
    if answer == "passes_all":
        return (
            f"Passes all {where}: {no_more}. Fresh judges of all {count} are below AUC {bound:g} at one-sided "
            f"{1 - terms.answer.alpha:.0%} confidence, and the guards of quality, variety, memorisation and provenance "
            "hold."
        )
    if answer == "caught":
        return f"Caught {where}, by people alone: {no_more}."
    cleared = sum(each.finding == "passes" for each in findings)
    if cleared == count:
        return f"Undecided {where}: {no_more}. All {count} are shown to be below AUC {bound:g}, but people are not."
    reasons: dict[str, list[str]] = {}
    for each in findings:
        if each.finding in ("undecided", "unfit"):
            reasons.setdefault(each.reason, []).append(each.technique)
    still_open = "; ".join(f"{', '.join(names)}: {reason}" for reason, names in reasons.items())
    return (
        f"Undecided {where}: {no_more}, but only {cleared} of {count} are shown to be below AUC {bound:g}. Still open: "
        f"{still_open}."
    )


def _of_people(finding: TechniqueFinding) -> str:
    detected = "detected the fakes" if finding.finding == "caught" else "did not clearly detect the fakes"
    return f"People {detected}: {_with_interval(finding)}; {finding.reason}."


def _broken(guards: Guards) -> str:
    reasons = []
    if not guards.memorisation.holds:
        reasons.append(
            f"the generator memorised: {guards.memorisation.figure:.0%} of its fakes lie nearer to its training images "
            f"than to as many other real images (chance 50%, limit {guards.memorisation.threshold:.0%})"
        )
    if not guards.quality.holds:
        reasons.append(
            f"the images lost quality: their kernel distance is {guards.quality.figure:.2f} times that of blurred real "
            f"images (limit {guards.quality.threshold:g})"
        )
    if not guards.variety.holds:
        reasons.append(
            f"the images lost variety: {guards.variety.figure:.0%} of that of real images (limit "
            f"{guards.variety.threshold:.0%})"
        )
    if not guards.provenance.holds:
        count = round(guards.provenance.figure)
        reasons.append(f"the files of real and fake images differ in {count} propert{'y' if count == 1 else 'ies'}")
    return "; ".join(reasons)


def _auc(finding: TechniqueFinding) -> float:
    return -1.0 if finding.estimate is None else finding.estimate.value


def _with_interval(finding: TechniqueFinding) -> str:
    """Such as "AUC 0.515 (95% CI 0.494 to 0.536, cnn)": both bounds at 2.5%."""
    if finding.estimate is None:
        return finding.technique
    auc = finding.estimate.interval().clipped()
    return f"AUC {auc.value:.3f} (95% CI {auc.low:.3f} to {auc.high:.3f}, {finding.technique})"


def limits_in_words(limits: Mapping[str, TechniqueLimit]) -> list[str]:
    """Return one text for each curve, so one for both kinds where the stack is the strongest in every round."""
    by_curve: dict[tuple[str, ...], TechniqueLimit] = {}
    for limit in limits.values():
        by_curve.setdefault(limit.fitted.curve.techniques, limit)
    return [_limit(limit) for limit in by_curve.values()]


def _limit(limit: TechniqueLimit) -> str:
    """Such as "Limit (stack): AUC levels off at 0.912 [0.890, 0.931] if ... The oracle is at 0.500 [0.480, 0.520]."."""
    if limit.fitted.limit is None:
        return f"Limit ({limit.kind}): {interval_in_words(limit.fitted)}."
    words = f"Limit ({limit.kind}): AUC levels off at {interval_in_words(limit.fitted)} {ASSUMPTION}."
    for name, control in limit.controls.items():
        if control.difference is not None:
            words += f" Less that of the control {name}: {interval_in_words(control.difference, '+')}."
    if limit.floor is not None:
        words += f" The oracle is at {limit.floor.value:.3f} [{limit.floor.low:.3f}, {limit.floor.high:.3f}]."
    return words


def interval_in_words(fitted: FittedCurve, sign: str = "") -> str:
    """Return a limit such as "0.912 [0.890, 0.931]", or why it is not identifiable."""
    if fitted.limit is None:
        return f"not identifiable ({fitted.reason})"
    value, low, high = (f"{number:{sign}.3f}" for number in fitted.limit)
    return f"{value} [{low}, {high}]"


def distance_in_words(distance: DistanceSummary) -> str:
    """Return the bounds on the distance, the images that a 99% accurate decision needs, and the margins."""
    if distance.total_variation is None or distance.jensen_shannon_bits is None:
        return (
            f"The distance between real and fake is unknown: the judges of {distance.technique} left no usable scores."
        )
    words = (
        f"Real and fake differ by a total variation of at least {distance.total_variation:.3f}, and by at least "
        f"{distance.jensen_shannon_bits:.3f} bits per image ({distance.technique}, 95% confidence). "
    )
    measured, chernoff = distance.images, distance.images_chernoff
    if measured is not None and measured.n is not None:
        words += f"{_images(measured)} from one source make a decision right 99 times in 100"
        words += (
            f", {_count(chernoff)} by Chernoff's bound." if chernoff is not None and chernoff.n is not None else "."
        )
    elif chernoff is not None and chernoff.n is not None:
        words += f"{_images(chernoff)} from one source make a decision right 99 times in 100, by Chernoff's bound."
    else:
        words += "The scores are too weak to estimate how many images per source a 99% accurate decision needs."
    levels = [
        f"{kind} {level:.3g} ({LADDERS[kind].unit})" for kind, level in distance.margins.items() if level is not None
    ]
    return words + (f" AUC falls to 0.75 at {', '.join(levels)}." if levels else "")


def _images(count: ImageCount) -> str:
    return f"{_count(count)} image{'' if count.n == 1 else 's'}"


def _count(count: ImageCount) -> str:
    """Such as "3 (2 to 5)", or "3 (3 or more)" where there is no upper bound."""
    high = "or more" if count.high is None else f"to {count.high:,}"
    return f"{count.n:,} ({count.low:,} {high})" if count.low is not None else f"{count.n:,}"
