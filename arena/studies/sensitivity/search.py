"""Search for limits of detection: the amplitude at which the fresh judge of a technique reaches an AUC."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CAUGHT = 0.75
"""AUC at a limit, half-way between chance and certainty."""
FINE = 1.26
"""Ratio of a bracket that is narrow enough, a third of an octave. The finest bracket is one grey level."""


@dataclass(frozen=True)
class DetectionLimit:
    """Bracket of the amplitude at which a technique begins to catch an artefact.

    Args:
        below: largest amplitude that was tried and missed. 0 without any.
        above: least amplitude that was caught. None without any.
        amplitude: limit in grey levels, by linear interpolation of the AUC over the logarithm of the amplitude. None
            where nothing was caught.

    >>> str(DetectionLimit(4, 5, 4.44)), str(DetectionLimit(0, 1, 1.0)), str(DetectionLimit(64, None, None))
    ('4.4', '≤ 1', '> 64')
    """

    below: int
    above: int | None
    amplitude: float | None

    def __str__(self) -> str:
        if self.amplitude is None:
            return f"> {self.below}"
        if self.below == 0:
            return f"≤ {self.amplitude:.0f}"
        return f"{self.amplitude:.{0 if self.amplitude >= 9.95 else 1}f}"


DetectionLimits = Mapping[str, Mapping[str, DetectionLimit]]
"""Technique -> artefact -> limit."""


def sharpest_first(limits: DetectionLimits, largest: int) -> DetectionLimits:
    """Sort techniques and artefacts by the sum of their limits in octaves, lowest first.

    Args:
        limits: of every technique and artefact.
        largest: largest amplitude tried, in grey levels. A limit above it counts as twice the largest.
    """
    octaves = {
        name: {kind: math.log2(limit.amplitude or 2 * largest) for kind, limit in row.items()}
        for name, row in limits.items()
    }
    names = sorted(limits, key=lambda name: sum(octaves[name].values()))
    kinds = sorted(octaves[names[0]], key=lambda kind: sum(row[kind] for row in octaves.values()))
    return {name: {kind: limits[name][kind] for kind in kinds} for name in names}


@dataclass
class Search:
    """Bisection for one artefact by all techniques at once. One stream of fakes per amplitude serves all of them.

    Args:
        techniques: names.
        largest: largest possible amplitude, in grey levels.
        start: first amplitude.
        aucs: amplitude -> technique -> AUC.
    """

    techniques: Sequence[str]
    largest: int
    start: int
    aucs: dict[int, dict[str, float]] = field(default_factory=dict)

    def record(self, amplitude: int, aucs: Mapping[str, float]) -> None:
        """Add the AUCs of judges at an amplitude."""
        self.aucs.setdefault(amplitude, {}).update(aucs)

    def next(self) -> tuple[int, list[str]] | None:
        """Return the amplitude that most techniques need, and all techniques it helps. None at the end."""
        needed = {technique: self._needs(technique) for technique in self.techniques}
        counts = Counter(amplitude for amplitude in needed.values() if amplitude is not None)
        if not counts:
            return None
        amplitude = max(counts, key=lambda a: (counts[a], -a))
        brackets = {name: self._bracket(name) for name in self.techniques if needed[name] is not None}
        return amplitude, [
            name
            for name, (below, above) in brackets.items()
            if below < amplitude and (above is None or amplitude < above)
        ]

    def limit(self, technique: str) -> DetectionLimit:
        """Return the limit of a technique, as far as it is known."""
        below, above = self._bracket(technique)
        if above is None:
            return DetectionLimit(below, None, None)
        if below == 0:
            return DetectionLimit(0, above, float(above))
        low, high = self.aucs[below][technique], self.aucs[above][technique]
        share = (CAUGHT - low) / (high - low)
        return DetectionLimit(below, above, below * (above / below) ** share)

    def _bracket(self, technique: str) -> tuple[int, int | None]:
        tried = {amplitude: aucs[technique] for amplitude, aucs in self.aucs.items() if technique in aucs}
        # If the AUC does not rise with the amplitude, the limit lies above the last miss.
        missed = max((amplitude for amplitude, auc in tried.items() if auc < CAUGHT), default=0)
        caught = [amplitude for amplitude, auc in tried.items() if auc >= CAUGHT and amplitude > missed]
        return missed, min(caught, default=None)

    def _needs(self, technique: str) -> int | None:
        below, above = self._bracket(technique)
        if above is None:
            if below >= self.largest:
                return None
            return self.start if below == 0 else min(2 * below, self.largest)
        if above - below <= 1 or (below and above / below <= FINE):
            return None
        middle = round(math.sqrt(max(below, 0.5) * above))
        return min(max(middle, below + 1), above - 1)
