"""The sensitivity study: its search, its measurements, and its figure."""

import csv
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import colormaps
from rich.console import Console

from arena.core.errors import ArenaError
from arena.figures.axes import contrast, png
from arena.race.build import race_from
from arena.studies.resumable import ResumableCsv
from arena.studies.sensitivity.figure import sensitivity
from arena.studies.sensitivity.search import FINE, DetectionLimit, Search, sharpest_first
from arena.studies.sensitivity.study import Measurement, artefacts, measure, search_limits
from tests.building import command, tiny_arena

pytestmark = pytest.mark.slow

main = command("sensitivity")
QUIET = Console(quiet=True)
NONE, SHARP, DULL = DetectionLimit(64, None, None), DetectionLimit(0, 1, 1.0), DetectionLimit(30, 37, 33.0)
LIMITS = {
    "blind": {"stripes": NONE, "checkerboard": NONE},
    "dull": {"stripes": NONE, "checkerboard": DULL},
    "sharp": {"stripes": SHARP, "checkerboard": SHARP},
}


# --- search ----------------------------------------------------------------------------------------------------------


def searched(curves, largest=64, start=8):
    """A search among techniques with known AUCs by amplitude, and the amplitudes it tried."""
    search, tried = Search(list(curves), largest, start), []
    while (step := search.next()) is not None:
        amplitude, techniques = step
        tried.append(amplitude)
        search.record(amplitude, {name: curves[name](amplitude) for name in techniques})
        assert len(tried) < 100
    return search, tried


def curve(limit):
    """AUC that rises from 1/2 to 1 over the logarithm of the amplitude and is 0.75 at ``limit``."""
    return lambda amplitude: 0.5 + 0.5 / (1 + (limit / amplitude) ** 2)


@given(limit=st.floats(1.2, 60))
def test_the_limit_of_a_known_curve_is_found_to_a_third_of_an_octave(limit):
    search, _ = searched({"it": curve(limit)})
    result = search.limit("it")
    assert result.amplitude is not None
    assert result.above is not None
    assert result.below < limit <= result.above
    assert result.above - result.below <= 1 or result.above / result.below <= FINE
    assert abs(math.log2(result.amplitude / limit)) < 0.34


def test_all_techniques_share_the_amplitudes_that_are_tried():
    limits = {f"technique {k}": 2.0 + k for k in range(12)}
    _, together = searched({name: curve(limit) for name, limit in limits.items()})
    alone = [searched({name: curve(limit)})[1] for name, limit in limits.items()]
    assert len(together) == len(set(together))  # no amplitude is judged twice
    assert len(together) <= len({amplitude for tried in alone for amplitude in tried}) < sum(map(len, alone))


def test_a_blind_technique_is_tried_up_to_the_largest_amplitude():
    search, tried = searched({"blind": lambda _: 0.5})
    assert tried == [8, 16, 32, 64]
    assert search.limit("blind") == NONE


def test_a_sharp_technique_is_tried_down_to_one_grey_level():
    search, tried = searched({"sharp": lambda _: 1.0})
    assert tried[-1] == 1
    assert search.limit("sharp") == SHARP


def test_the_limit_lies_above_the_last_miss_if_the_auc_does_not_rise():
    search, _ = searched({"odd": lambda amplitude: 0.6 if amplitude in (4, 5, 6, 7, 8, 9) else 0.9})
    result = search.limit("odd")
    assert result.below in (8, 9)
    assert result.above is not None
    assert result.above > 9


def test_the_auc_is_interpolated_over_the_logarithm_of_the_amplitude():
    search = Search(["it"], 64, 8)
    search.record(4, {"it": 0.65})
    search.record(16, {"it": 0.85})
    assert search.limit("it").amplitude == pytest.approx(8)


def test_the_sharpest_technique_and_the_plainest_artefact_come_first():
    ordered = sharpest_first(LIMITS, 64)
    assert list(ordered) == ["sharp", "dull", "blind"]
    assert [list(row) for row in ordered.values()] == [["checkerboard", "stripes"]] * 3
    assert ordered == LIMITS


# --- study -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def race(run):
    overrides = (
        "access=none",
        "race.rounds=0",
        "battery.stack=null",
        "~battery.members.cnn",
        "~battery.members.forest",
    )
    return tiny_arena(run, *overrides, generator="oracle")


def simulated(race, kind, amplitude, techniques):
    """Measurements of techniques whose limits are all six grey levels, without a race."""
    aucs = {name: round(curve(6)(amplitude), 4) for name in techniques}
    return [Measurement(kind, amplitude, name, auc, auc - 0.01, auc + 0.01) for name, auc in aucs.items()]


def test_an_interrupted_study_continues_and_finds_the_same_limits(race, tmp_path):
    tried = []

    def interrupted(*step):
        if len(tried) == 3:
            raise KeyboardInterrupt
        tried.append(step[1:])
        return simulated(*step)

    path = tmp_path / "measurements.csv"
    with pytest.raises(KeyboardInterrupt):
        search_limits(race, path, QUIET, interrupted)
    kept = path.read_bytes()
    lines = ResumableCsv(path, Measurement, ".4f").lines
    assert len(lines) == sum(len(techniques) for *_, techniques in tried)
    left = []
    continued = search_limits(race, path, QUIET, lambda *step: left.append(step[1:]) or simulated(*step))
    assert path.read_bytes().startswith(kept)
    assert not {(kind, amplitude) for kind, amplitude, _ in tried} & {(kind, amplitude) for kind, amplitude, _ in left}
    once = search_limits(race, tmp_path / "whole.csv", QUIET, simulated)
    assert {kind: search.aucs for kind, search in continued.items()} == {kind: each.aucs for kind, each in once.items()}


def test_fresh_judges_catch_a_plain_artefact_and_are_at_chance_without_one(race):
    plain, none = (measure(race, "checkerboard", amplitude, ["dct"]) for amplitude in (4, 0))
    assert plain[0].low > 0.85
    assert none[0].low < 0.5 < none[0].high


def test_every_artefact_that_can_be_planted_is_searched(race):
    assert {"checkerboard", "stripes", "quantisation"} <= set(artefacts(race))


def test_a_measurement_of_an_unknown_artefact_is_refused(race, tmp_path):
    path = tmp_path / "measurements.csv"
    ResumableCsv(path, Measurement, ".4f").add([Measurement("stars", 4, "dct", 0.7, 0.6, 0.8)])
    with pytest.raises(ArenaError, match=r"measurements.csv: expected one of checkerboard.*found stars"):
        search_limits(race, path, QUIET, simulated)


FEW = ["data=digits", "~data.n", "battery=small", "battery.stack=null", "bank.test=64", "bank.cell=16"]


def test_the_command_tabulates_and_draws_every_technique_and_artefact(tmp_path, capsys, monkeypatch):
    """All measurements are in the file, so that the command judges nothing."""
    monkeypatch.setenv("ARENA_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    race = race_from(["experiment=sensitivity", *FEW], out)
    sharp = {"dct": 0.9}
    search_limits(
        race,
        out / "measurements.csv",
        QUIET,
        lambda _, kind, amplitude, names: [
            Measurement(kind, amplitude, n, sharp.get(n, 0.5), 0.4, 0.95) for n in names
        ],
    )
    assert main(["--out", str(out), *FEW]) == 0, capsys.readouterr().err
    assert "hours" in capsys.readouterr().out
    rows = list(csv.reader((out / "sensitivity.csv").read_text(encoding="utf-8").splitlines()))
    cells = {row[0]: set(row[1:]) for row in rows[1:]}
    assert set(cells) == {"cnn", "dct", "spectrum", "forest"}
    assert cells["dct"] == {"≤ 1"}
    assert cells["cnn"] == {"> 4"}  # a quarter of seventeen grey levels
    assert {path.name for path in out.iterdir() if path.name[0] != "."} == {
        *("config.yaml", "measurements.csv", "sensitivity.csv", "sensitivity.tex", "sensitivity.png")
    }
    assert main(["--out", str(out), *FEW, "judge.folds=3"]) == 2
    assert "found another, with judge.folds=2" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "other"), *FEW, "generator=style"]) == 2
    assert capsys.readouterr().err.startswith("arena: generator: expected oracle")


# --- figure ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def axes():
    return sensitivity(LIMITS, {"sharp": "stripes"}, 64).axes


def test_rows_columns_and_scale_are_labelled(axes):
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["blind", "dull", "sharp"]
    assert [label.get_text() for label in axes[0].get_xticklabels()] == ["stripes", "checkerboard"]
    assert [label.get_text() for label in axes[1].get_yticklabels()] == ["1", "2", "4", "8", "16", "32", "64"]
    assert "AUC 0.75" in axes[1].get_ylabel()


def test_every_cell_has_its_limit_and_the_own_artefact_is_bold(axes):
    assert [text.get_text() for text in axes[0].texts] == ["> 64", "> 64", "> 64", "33", "≤ 1", "≤ 1"]
    assert [text.get_weight() == "bold" for text in axes[0].texts] == [False, False, False, False, True, False]


def test_text_has_enough_contrast_on_every_colour():
    """At least 3 to 1 (WCAG 2.1, large text)."""
    amplitudes = (1, 2, 4, 6, 8, 9, 12, 16, 24, 40, 63)
    panel = sensitivity({"it": {str(k): DetectionLimit(k, k + 1, float(k)) for k in amplitudes}}, {}, 64).axes[0]
    for amplitude, text in zip(amplitudes, panel.texts, strict=True):
        ground = colormaps["viridis"](math.log(amplitude, 64))[:3]
        assert contrast(ground, text.get_color()) >= 3, amplitude


def test_only_cells_without_a_limit_are_hatched(axes):
    """A grey print cannot tell white from light yellow."""
    hatched = {patch.get_xy() for patch in axes[0].patches if patch.get_hatch()}
    assert hatched == {(-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5)}


def test_equal_limits_make_equal_bytes():
    assert png(sensitivity(LIMITS, {}, 64)) == png(sensitivity(LIMITS, {}, 64))
