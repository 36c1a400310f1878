"""Draw the picture of the README: fakes by round above the timeline of a finished race.

arena run_dir=runs/first
python experiments/first_race/teaser.py runs/first
"""

import argparse
from pathlib import Path

from PIL import Image

GAP = 24
"""Pixels between the two pictures."""


def stacked(above: Image.Image, below: Image.Image) -> Image.Image:
    """Return one white picture with ``above`` centred over ``below``."""
    width = max(above.width, below.width)
    picture = Image.new("RGB", (width, above.height + GAP + below.height), "white")
    picture.paste(above, ((width - above.width) // 2, 0))
    picture.paste(below, ((width - below.width) // 2, above.height + GAP))
    return picture


def main() -> None:
    """Read two figures of a run and write ``teaser.png`` beside this file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory of a finished race")
    figures = parser.parse_args().run / "figures"
    with Image.open(figures / "rounds.png") as fakes, Image.open(figures / "timeline.png") as timeline:
        stacked(fakes.convert("RGB"), timeline.convert("RGB")).save(Path(__file__).parent / "teaser.png", optimize=True)


if __name__ == "__main__":
    main()
