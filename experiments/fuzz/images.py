"""Damage images at random, and decode each: it has to be decoded, or skipped with a reason, in time and memory.

Run ``python experiments/fuzz/images.py --seconds 600``. Images of several formats and modes are damaged as files of
runs are in ``runs.py``. The exit code is 1 if one hangs, takes more than a gigabyte, or gives pixels of another shape.
"""

import argparse
import random
import resource
import signal
import sys
import time
import warnings
from collections import Counter
from io import BytesIO

import numpy as np
from PIL import Image
from runs import LONGEST, damaged, hangs

from arena.data.decoding import decode_images

SIDE = 16
LIMIT = 2**30
"""Bytes of memory beyond those at the start."""


def originals() -> dict[str, bytes]:
    """Return one sound file of each format and mode."""
    grey = np.random.default_rng(0).integers(0, 255, (24, 31), dtype=np.uint8)
    colour = Image.fromarray(np.stack([grey, grey[::-1], grey[:, ::-1]], axis=-1))
    exif = Image.Exif()
    exif[274] = 6  # turned by a quarter
    images: dict[str, tuple[Image.Image, dict[str, object]]] = {
        "PNG grey": (Image.fromarray(grey), {}),
        "PNG 16 bits": (Image.fromarray(grey.astype(np.uint16) * 257), {}),
        "PNG palette": (colour.convert("P"), {"transparency": 0}),
        "JPEG": (colour, {"exif": exif}),
        "JPEG CMYK": (colour.convert("CMYK"), {}),
        "GIF animated": (colour.convert("P"), {"save_all": True, "append_images": [Image.new("P", colour.size)]}),
        "WEBP": (colour, {}),
        "TIFF": (colour, {"compression": "tiff_lzw"}),
        "BMP": (colour, {}),
    }
    files = {}
    for name, (image, options) in images.items():
        image.save(buffer := BytesIO(), name.split()[0], **options)
        files[name] = buffer.getvalue()
    return files


def main() -> None:
    """Damage and decode until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0, help="(default: 600)")
    parser.add_argument("--seed", type=int, default=0, help="of the first damage (default: 0)")
    options = parser.parse_args()
    files, escapes, counts, number = originals(), list[str](), Counter[str](), options.seed
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGALRM, hangs)
    at_first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    resource.setrlimit(resource.RLIMIT_AS, (8 * LIMIT + at_first, -1))
    end = time.monotonic() + options.seconds
    while time.monotonic() < end:
        rng = random.Random(number)
        name = rng.choice([*files])
        signal.alarm(LONGEST)
        try:
            decoding = decode_images([damaged(files[name], rng)], SIDE, 3, show_progress=False)
            counts["decoded" if len(decoding.images) else "skipped"] += 1
            if decoding.images.shape[1:] != (3, SIDE, SIDE) or any("\n" in line for line in decoding.failures.values()):
                escapes.append(f"seed {number}, {name}: {tuple(decoding.images.shape)} {decoding.failures}")
        except Exception as error:  # what the script looks for
            escapes.append(f"seed {number}, {name}: {type(error).__name__}: {error}")
        finally:
            signal.alarm(0)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - at_first
        if grown > LIMIT:
            escapes.append(f"seed {number}, {name}: {grown / 2**20:,.0f} MiB")
            break
        number += 1
    tried = number - options.seed
    print(f"{tried} damaged images: {counts['decoded']} decoded, {counts['skipped']} skipped, {len(escapes)} escaped")
    print("\n".join(escapes[:20]))
    sys.exit(bool(escapes))


if __name__ == "__main__":
    main()
