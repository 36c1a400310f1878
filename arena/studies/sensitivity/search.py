"""Bisection for the limit of detection: the amplitude at which a fresh judge reaches an AUC, technique by technique."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

CAUGHT = 0.75
"""The AUC of a limit: half-way between chance and certainty."""
FINE = 1.26
"""A bracket this narrow, a third of an octave, is narrow enough; one grey level is the finest there is."""


@dataclass(frozen=True)
class DetectionLimit:
    """Where between two amplitudes a technique begins to catch an artefact.

    Args:
        below: the largest amplitude that was tried and missed; 0 where none was.
        above: the least that was caught, None where none was.
        amplitude: interpolated between the two, in grey levels: AUC straight over the logarithm of the amplitude. None
            where nothing was caught.
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
    """Techniques by how much they catch, artefacts by how many catch them; nothing caught counts twice the largest.

    Args:
        limits: of every technique and artefact.
        largest: amplitude that was tried, in grey levels.
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
    """All techniques' searches for one artefact, which share what they try: one stream judges an amplitude for all.

    Args:
        techniques: who searches.
        largest: amplitude there is, in grey levels.
        start: amplitude to begin with.
    """

    techniques: Sequence[str]
    largest: int
    start: int
    found: dict[int, dict[str, float]] = field(default_factory=dict)
    """Amplitude -> technique -> AUC."""

    def record(self, amplitude: int, aucs: Mapping[str, float]) -> None:
        """What the judges of an amplitude reached."""
        self.found.setdefault(amplitude, {}).update(aucs)

    def next(self) -> tuple[int, list[str]] | None:
        """The amplitude that most techniques want to know of, and all that can learn from it; None at the end."""
        wanted = {technique: self._wants(technique) for technique in self.techniques}
        counts = Counter(amplitude for amplitude in wanted.values() if amplitude is not None)
        if not counts:
            return None
        amplitude = max(counts, key=lambda a: (counts[a], -a))
        asked = [name for name in self.techniques if wanted[name] is not None and self._open(name, amplitude)]
        return amplitude, asked

    def limit(self, technique: str) -> DetectionLimit:
        """The technique's limit, as far as it is known."""
        below, above = self._bracket(technique)
        if above is None:
            return DetectionLimit(below, None, None)
        if below == 0:
            return DetectionLimit(0, above, float(above))
        low, high = self.found[below][technique], self.found[above][technique]
        share = (CAUGHT - low) / (high - low)
        return DetectionLimit(below, above, below * (above / below) ** share)

    def _bracket(self, technique: str) -> tuple[int, int | None]:
        tried = {amplitude: aucs[technique] for amplitude, aucs in self.found.items() if technique in aucs}
        # Where the AUC is no rising function of the amplitude, the least amplitude counts that stays caught.
        missed = max((amplitude for amplitude, auc in tried.items() if auc < CAUGHT), default=0)
        caught = [amplitude for amplitude, auc in tried.items() if auc >= CAUGHT and amplitude > missed]
        return missed, min(caught, default=None)

    def _wants(self, technique: str) -> int | None:
        below, above = self._bracket(technique)
        if above is None:
            if below >= self.largest:
                return None
            return self.start if below == 0 else min(2 * below, self.largest)
        if above - below <= 1 or (below and above / below <= FINE):
            return None
        middle = round(math.sqrt(max(below, 0.5) * above))
        return min(max(middle, below + 1), above - 1)

    def _open(self, technique: str, amplitude: int) -> bool:
        below, above = self._bracket(technique)
        return below < amplitude and (above is None or amplitude < above)
