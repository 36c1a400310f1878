"""The cost stated before a race, against the race."""

from arena.race.forecast import mib_of_race
from arena.race.race import Race


def test_a_race_takes_at_most_the_disk_forecast_and_not_far_less(finished: Race):
    kept = [finished.run / name for name in ("banks", "checkpoints", "scores", "records.jsonl")]
    files = [path for place in kept for path in (place.rglob("*") if place.is_dir() else [place]) if path.is_file()]
    taken = sum(path.stat().st_size for path in files) / 2**20
    assert 0.6 * mib_of_race(finished) <= taken <= mib_of_race(finished)
