"""Limit and distance in plain English: what a console and a page say of them."""

from collections.abc import Mapping

from arena.answer.limit.axes import Axis
from arena.answer.limit.bags import Count
from arena.answer.limit.distance import Apart
from arena.answer.limit.limit import SUPPOSED, CurveLimit, TechniqueLimit
from arena.degradation import LADDERS


def limits_in_words(found: Mapping[str, TechniqueLimit]) -> list[str]:
    """A sentence a curve; one for both where the stack is the strongest in every round."""
    curves = dict.fromkeys(its.its.curve.techniques for its in found.values())
    return [_limit(next(its for its in found.values() if its.its.curve.techniques == curve)) for curve in curves]


def _limit(found: TechniqueLimit) -> str:
    """Such as "Limit (stack): AUC 0.912 [0.890, 0.931] as rounds go on, if ...; less that of none: +0.02 [0.01, 0.03]".

    No data tell a flat curve from one about to move, so what is supposed is said.
    """
    if found.its.limit is None:
        return f"Limit ({found.kind}): {_lacking(found.its)}."
    parts = [f"AUC {_interval(found.its)} as rounds go on, {SUPPOSED}"]
    for name, control in found.controls.items():
        if control.difference is not None:
            parts.append(f"less that of {name}: {_interval(control.difference, '+')}")
    if found.floor is not None:
        parts.append(f"an oracle is at {found.floor.auc:.3f} [{found.floor.low:.3f}, {found.floor.high:.3f}]")
    return f"Limit ({found.kind}): {'; '.join(parts)}."


def axis_in_words(found: Axis) -> str:
    """The limit along one resource of a sweep."""
    whose = "the judges'" if found.whose == "judge" else "the generator's"
    said = f"AUC {_interval(found.its)} as it grows, {SUPPOSED}" if found.its.limit else _lacking(found.its)
    return f"Limit along {found.key} ({whose}), {len(found.resource)} amounts ({found.kind}): {said}."


def distance_in_words(found: Apart) -> str:
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


def _images(count: Count) -> str:
    return f"{_count(count)} image{'' if count.n == 1 else 's'}"


def _count(count: Count) -> str:
    """Such as "3 (2 to 5)", or "3 (3 or more)" where nothing bounds it from above."""
    high = "or more" if count.high is None else f"to {count.high:,}"
    return f"{count.n:,} ({count.low:,} {high})" if count.low is not None else f"{count.n:,}"


def _interval(found: CurveLimit, sign: str = "") -> str:
    if found.limit is None:
        return _lacking(found)
    return f"{found.limit.asymptote:{sign}.3f} [{found.limit.low:{sign}.3f}, {found.limit.high:{sign}.3f}]"


def _lacking(found: CurveLimit) -> str:
    return f"not identifiable ({found.reason})"
