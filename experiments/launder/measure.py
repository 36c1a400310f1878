"""Print the AUC of fresh judges on faces of StyleGAN as they are, spectrum-corrected, and laundered.

    python experiments/launder/measure.py IMAGES OUT [--side 64] [--fakes 200] [key=value ...]

Only the phases that these numbers need are run: no controls, no half of the data, no guards of the images. This is
therefore no verdict. The same command continues where it was killed. OUT holds crops of the images. Keep it out of the
project.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

from PIL import Image

from arena.core.progress import Progress
from arena.race.build import race_from
from arena.race.loop import run_phases
from arena.race.phases.detectors import retrain
from arena.race.phases.fakes import forge
from arena.race.phases.generator import respond, warm_up
from arena.race.phases.judges import judge, judge_players
from arena.race.processes import Step
from arena.race.race import Race
from arena.records.schema import ScoreRecord
from arena.records.store import RecordBook, read_records

TECHNIQUES = "[rich,dctr,fingerprint,cooccurrence]"
"""The strongest but ``forest``, which is in the battery anyway (experiments/examination)."""
COMMON = ("experiment=launder", "data=folder", "battery=tiny", "~battery.members.cnn", f"battery.add={TECHNIQUES}")
RUNS = {
    "laundered, 2 levels": ("generator.distortion=2",),
    "laundered, 8 levels": ("generator.distortion=8",),
    "spectrum corrected": ("generator=spectrum_corrected", "race.rounds=0", "access=none"),
}


def crop(source: Path, target: Path, side: int, most: int) -> Path:
    """Write the middle square of ``side`` native pixels of the first images of a folder as PNG. Return ``target``."""
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir())[:most]:
        image = Image.open(file).convert("RGB")
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image.crop((left, top, left + side, top + side)).save(target / f"{file.stem}.png")
    return target


def steps(race: Race) -> Iterator[Step]:
    """Yield the phases that fresh judges of every round need."""
    yield Step(warm_up, 0, "generator")
    for r in range(race.rounds + 1):
        yield Step(forge, r, "generator")
        yield Step(judge, r, judge_players(race, r)[0])
        if r < race.rounds:
            yield Step(retrain, r, "battery")
            yield Step(respond, r, "generator")


def judged(run: Path, round_index: int) -> dict[str, str]:
    """Return technique -> mean AUC over judges, with the mean ends of their 95% intervals."""
    fresh: dict[str, list[ScoreRecord]] = {}
    for record in read_records(run):
        if isinstance(record, ScoreRecord) and record.regime == "fresh" and record.generator_round == round_index:
            fresh.setdefault(record.technique, []).append(record)
    return {
        name: f"{fmean(each.auc for each in tests):.3f} "
        f"[{fmean(each.auc_low for each in tests):.3f}, {fmean(each.auc_high for each in tests):.3f}]"
        for name, tests in fresh.items()
    }


def main() -> None:
    """Run the races, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path, help="folder with real/ and fake/")
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--fakes", type=int, default=200)
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_intermixed_args()
    side = given.side
    reals = crop(given.images / "real", given.out / f"real{side}", side, 10_000)
    fakes = crop(given.images / "fake", given.out / f"fake{side}_{given.fakes}", side, given.fakes)
    places = (f"data.path={reals}", f"generator.path={fakes}", f"data.resolution={side}")
    columns: dict[str, dict[str, str]] = {}
    for name, own in RUNS.items():
        run = given.out / name.replace(", ", "_").replace(" ", "_")
        race = race_from([*COMMON, *places, f"cache_dir={given.out / 'cache'}", *given.overrides, *own], run)
        run_phases(race, RecordBook(run), steps(race), Progress())
        if race.rounds:  # the same images, banks and judges in every run
            columns["as they are"] = judged(run, 0)
        columns[name] = judged(run, race.rounds)
    print("| technique | " + " | ".join(columns) + " |")
    print("|---|" + "---|" * len(columns))
    for technique in columns["as they are"]:
        print(f"| {technique} | " + " | ".join(column[technique] for column in columns.values()) + " |")


if __name__ == "__main__":
    main()
