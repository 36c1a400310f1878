"""Compare the file headers of reals and fakes (rule of evidence 9).

A detector given files may learn how they were stored and not how they were made. Only headers are read: format, mode,
size, JPEG quantisation tables and EXIF.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from arena.core.seeding import derive_seed
from arena.data.opening import read_image_file

SAMPLE = 256
"""Most files read of each side."""
TOLERATED = 0.10
"""Largest difference of two shares that is not reported."""
EXIF_TAGS = {"EXIF make": 271, "EXIF model": 272, "EXIF software": 305}


@dataclass(frozen=True)
class Provenance:
    """The differences between the headers of real and fake files.

    Args:
        differences: one line per property that differs, largest first; empty if both sides are stored alike.
        n_real: real files read.
        n_fake: fake files read.
    """

    differences: tuple[str, ...]
    n_real: int
    n_fake: int


def compare_provenance(real: Sequence[Path], fake: Sequence[Path]) -> Provenance:
    """Compare the headers of at most ``SAMPLE`` files of each side; the sample is always the same.

    For each property, the value with the largest difference of shares is tested. The property differs if the shares are
    more than ``TOLERATED`` apart, and more than three standard errors (two proportions, pooled). Files that are no
    images are left out.
    """
    real_headers, fake_headers = (
        [row for file in _sample(files) if (row := read_headers(file))] for files in (real, fake)
    )
    n_real, n_fake = len(real_headers), len(fake_headers)
    differences: list[tuple[float, str]] = []
    for name in real_headers[0] if n_real and n_fake else ():
        reals, fakes = (Counter(row[name] for row in rows) for rows in (real_headers, fake_headers))
        gaps = {value: abs(reals[value] / n_real - fakes[value] / n_fake) for value in reals | fakes}
        value = max(sorted(gaps), key=gaps.__getitem__)
        pooled = (reals[value] + fakes[value]) / (n_real + n_fake)
        error = np.sqrt(pooled * (1 - pooled) * (1 / n_real + 1 / n_fake))
        if gaps[value] > max(TOLERATED, 3 * error):
            shares = f"{reals[value] / n_real:.0%} of the real files and {fakes[value] / n_fake:.0%} of the fake"
            differences.append((gaps[value], f"{name}: {value} in {shares}"))
    return Provenance(tuple(line for _, line in sorted(differences, key=lambda pair: -pair[0])), n_real, n_fake)


def read_headers(file: Path) -> dict[str, str] | None:
    """Return the header's properties by name, or None if the file is no image.

    The quantisation tables are given by the first six coefficients of each, in the order of the file.
    """
    try:
        with Image.open(BytesIO(read_image_file(file))) as image:
            tables = getattr(image, "quantization", {}) if image.format in ("JPEG", "MPO") else {}
            exif = Image.Exif()
            exif.load(image.info.get("exif") or b"")
            return {
                "format": str(image.format),
                "mode": image.mode,
                "size": f"{image.width}x{image.height}",
                "JPEG tables": " / ".join("-".join(map(str, tables[k][:6])) for k in sorted(tables)) or "none",
                "EXIF": "present" if exif else "absent",
                **{name: str(exif.get(tag, "none")) for name, tag in EXIF_TAGS.items()},
            }
    except Exception:  # on damaged bytes, Pillow's decoders raise exceptions of any type
        return None


def _sample(files: Sequence[Path]) -> list[Path]:
    ordered = sorted(files)
    if len(ordered) <= SAMPLE:
        return ordered
    chosen = np.random.default_rng(derive_seed(0, "provenance")).choice(len(ordered), SAMPLE, replace=False)
    return [ordered[k] for k in np.sort(chosen)]
