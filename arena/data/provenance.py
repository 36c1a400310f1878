"""Do real and fake files differ before anyone looks at a pixel (rule of evidence 9)?

A detector handed files may learn how they were stored rather than how they were made. Headers alone are read: format,
mode, size, JPEG quantisation tables, and what EXIF says.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from arena.core.seeding import derive_seed

SAMPLE = 256
"""Files read of each side at most."""
TOLERATED = 0.10
"""Largest difference of shares that counts as none."""

_EXIF_MAKE, _EXIF_MODEL, _EXIF_SOFTWARE = 271, 272, 305


@dataclass(frozen=True)
class Provenance:
    """How the files of the two sides differ.

    Args:
        differences: one line each, worst first; empty where there are none.
        gap: the largest difference, over all properties and values, between the shares of real and fake files that have
            the value: 0 none, 1 a header alone tells them apart.
        n_real: real files read.
        n_fake: fake files read.
    """

    differences: tuple[str, ...]
    gap: float
    n_real: int
    n_fake: int

    @property
    def holds(self) -> bool:
        """Whether the two sides are stored alike."""
        return not self.differences


def compare_provenance(real: Sequence[Path], fake: Sequence[Path]) -> Provenance:
    """Compare the headers of at most ``SAMPLE`` files of each side; the sample is always the same.

    A property differs where the shares of its most telling value are more than ``TOLERATED`` apart, and more than three
    standard errors (of two proportions, pooled). Files that are no images are passed over.
    """
    sides = [
        [headers for file in _sample(files) if (headers := read_headers(file)) is not None] for files in (real, fake)
    ]
    n_real, n_fake = len(sides[0]), len(sides[1])
    if not n_real or not n_fake:
        return Provenance((), 0.0, n_real, n_fake)
    found: list[tuple[float, str]] = []
    largest = 0.0
    for name in sides[0][0]:
        counts = [Counter(headers[name] for headers in side) for side in sides]
        shares = {v: (counts[0][v] / n_real, counts[1][v] / n_fake) for v in counts[0] | counts[1]}
        value = max(sorted(shares), key=lambda v: abs(shares[v][0] - shares[v][1]))
        share_real, share_fake = shares[value]
        gap = abs(share_real - share_fake)
        pooled = (counts[0][value] + counts[1][value]) / (n_real + n_fake)
        error = np.sqrt(pooled * (1 - pooled) * (1 / n_real + 1 / n_fake))
        largest = max(largest, gap)
        if gap > max(TOLERATED, 3 * error):
            found.append(
                (gap, f"{name}: {value} in {share_real:.0%} of the real files and {share_fake:.0%} of the fake")
            )
    return Provenance(tuple(line for _, line in sorted(found, key=lambda pair: -pair[0])), largest, n_real, n_fake)


def read_headers(file: Path) -> dict[str, str] | None:
    """What the headers of one file say: property -> value. None where the file is no image."""
    try:
        with Image.open(file) as image:
            tables = getattr(image, "quantization", {}) if image.format in ("JPEG", "MPO") else {}
            exif = Image.Exif()
            exif.load(image.info.get("exif") or b"")
            return {
                "format": str(image.format),
                "mode": image.mode,
                "size": f"{image.width}x{image.height}",
                "JPEG tables": _describe(tables),
                "EXIF": "present" if exif else "absent",
                "EXIF make": str(exif.get(_EXIF_MAKE, "none")),
                "EXIF model": str(exif.get(_EXIF_MODEL, "none")),
                "EXIF software": str(exif.get(_EXIF_SOFTWARE, "none")),
            }
    except Exception:  # the decoders of forty formats raise whatever they like on bad bytes
        return None


def _describe(tables: dict[int, list[int]]) -> str:
    """Quantisation tables in short: the step of each table's first six coefficients, in the file's order."""
    return " / ".join("-".join(map(str, tables[k][:6])) for k in sorted(tables)) or "none"


def _sample(files: Sequence[Path]) -> list[Path]:
    ordered = sorted(files)
    if len(ordered) <= SAMPLE:
        return ordered
    chosen = np.random.default_rng(derive_seed(0, "provenance")).choice(len(ordered), SAMPLE, replace=False)
    return [ordered[k] for k in np.sort(chosen)]
