"""How many images or seeds would decide: what an undecided verdict owes its reader."""

from dataclasses import dataclass
from math import ceil

from scipy.stats import norm

from arena.answer.estimate import Estimate

# Probability with which the named number decides, if the AUC is what was found.
POWER = 0.8
# Nobody has so many; beyond it the number says no more than that the AUC lies on the margin.
MOST = 10_000_000


@dataclass(frozen=True)
class Needed:
    """Numbers that would decide: either alone where both are given, or together.

    Args:
        images: test images of each class, or None where no number of images alone would do.
        repeats: judge seeds (or runs, over runs), or None where no number of them alone would do.
        together: whether both are needed at once.
    """

    images: int | None
    repeats: int | None
    together: bool


def needed(found: Estimate, bound: float, alpha: float) -> Needed:
    """Numbers with which an AUC at ``found.value`` would be clear of ``bound`` with 80% power (normal approximation).

    Args:
        found: the undecided estimate.
        bound: 1/2 + margin.
        alpha: one-sided.
    """
    gap = max(abs(bound - found.value), 1e-6)
    allowed = (gap / float(norm.isf(alpha) + norm.ppf(POWER))) ** 2
    of_images, of_repeats = found.of_images, found.of_repeats
    images = found.images * of_images / (allowed - of_repeats) if allowed > of_repeats else MOST
    repeats = found.repeats * of_repeats / (allowed - of_images) if allowed > of_images else MOST
    if min(images, repeats) < MOST:
        return Needed(
            _more(images, found.images) if images < MOST else None,
            _more(repeats, found.repeats) if repeats < MOST and of_repeats > 0 else None,
            together=False,
        )
    scale = (of_images + of_repeats) / allowed
    return Needed(_more(scale * found.images, found.images), _more(scale * found.repeats, found.repeats), together=True)


def in_words(numbers: Needed, runs: int, judges: str = "judge seeds") -> str:
    """Such as "about 2,400 test images of each class or 12 judge seeds"; ``judges`` is what repeats within a run."""
    images = None if numbers.images is None else f"{_rounded(numbers.images)} test images of each class"
    repeats = None if numbers.repeats is None else f"{_rounded(numbers.repeats)} {'runs' if runs > 1 else judges}"
    return (" and " if numbers.together else " or ").join(part for part in (images, repeats) if part is not None)


def _more(number: float, had: int) -> int:
    return min(MOST, max(ceil(number), had + 1))


def _rounded(number: int) -> str:
    """Two digits are all that such a number is good for."""
    if number >= MOST:
        return f"more than {MOST:,}"
    return f"about {int(float(f'{number:.2g}')):,}" if number >= 100 else f"about {number}"
