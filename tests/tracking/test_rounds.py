import pytest

from arena.answer.answer import read_answer
from arena.answer.series import read_series
from arena.records.schema import PhaseRecord
from arena.records.store import read_records
from arena.tracking.rounds import curves, pictures
from tests.figures.drawable import drawable_run


def closed_by(records, phase, round_index):
    """The records of a race that has come as far as that phase; the synthetic race closes some once a technique."""
    last = max(
        n
        for n, record in enumerate(records, 1)
        if isinstance(record, PhaseRecord) and (record.phase, record.round) == (phase, round_index)
    )
    return records[:last]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return drawable_run(
        tmp_path_factory.mktemp("rounds") / "run", techniques={"a": 0.6, "b": 0.7, "c": 0.8, "stack": 0.9}
    )


def test_a_figure_is_shown_by_the_phase_that_settles_it(run):
    records = read_records(run)
    families = {
        phase: {key.rpartition("/")[0] for key in curves(run, closed_by(records, phase, 1))}
        for phase in ("forge", "confront", "retrain", "judge", "measure", "respond")
    }
    assert families == {
        "forge": set(),
        "confront": {"auc/frozen"},
        "retrain": {"auc/retrained"},
        "judge": set(),
        "measure": {"auc/fresh", "strongest", "quality", "seconds"},
        "respond": {"seconds"},
    }


def test_fresh_judges_are_taken_together_as_the_table_does(run):
    records = read_records(run)
    for round_index in range(3):
        metrics = curves(run, closed_by(records, "measure", round_index))
        for series in read_series(run, records):
            assert metrics[f"auc/fresh/{series.technique}"] == series.at("fresh", round_index).value


def test_the_strongest_is_the_one_the_verdict_would_name(run):
    metrics, strongest = curves(run, closed_by(read_records(run), "measure", 2)), read_answer(run).verdict.strongest
    assert strongest is not None
    assert metrics["strongest/technique"] == strongest.technique
    assert metrics["strongest/auc"] == strongest.auc
    low, auc, high = (float(metrics[f"strongest/{name}"]) for name in ("low", "auc", "high"))
    assert low <= auc <= high


def test_what_comes_later_changes_nothing_shown_before(run):
    records = read_records(run)
    early, copied = curves(run, closed_by(records, "measure", 1)), [*closed_by(records, "measure", 1)]
    assert early == curves(run, copied)
    assert float(early["seconds/race"]) < float(curves(run, closed_by(records, "measure", 2))["seconds/race"])


def test_a_big_battery_has_a_small_map(run):
    records = read_records(run)
    assert pictures(run, closed_by(records, "judge", 2)) == {}
    shown = pictures(run, closed_by(records, "measure", 2))
    titles = [axes.get_title(loc="left").partition(" ")[0] for axes in shown["payoff"].axes]
    assert [title for title in titles if title] == ["c", "stack"]
    assert [words.get_text() for words in shown["faces"].texts] == ["reals", "round 2"]


def test_the_map_shows_rounds_as_far_as_the_race_has_come(run):
    records = read_records(run)
    maps = [pictures(run, closed_by(records, "measure", r))["payoff"].axes[0].images[0] for r in range(3)]
    assert [image.get_size() for image in maps] == [(1, 1), (2, 2), (3, 3)]
