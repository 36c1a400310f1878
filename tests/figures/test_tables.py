import csv
import dataclasses
import math

import numpy as np
import pytest

from arena.answer.answer import read_answer
from arena.answer.game import solve
from arena.answer.series import read_series
from arena.figures.tables import game_table, number, quality_table, scores_table, to_csv, to_latex, verdict_table
from arena.records.schema import QualityRecord
from arena.records.store import read_records
from tests.answer.games import hand_made


def test_scores_table_holds_every_round_and_technique(run):
    series = read_series(run, read_records(run))
    rows = list(csv.DictReader(to_csv(scores_table(series)).splitlines()))
    assert [(row["round"], row["technique"]) for row in rows] == [
        (str(r), t) for r in range(3) for t in ("cnn", "forest", "stack")
    ]
    assert rows[0]["frozen"] == ""
    assert float(rows[-1]["fresh"]) == pytest.approx(series[-1].at("fresh", 2).value, abs=1e-4)
    assert float(rows[-1]["frozen"]) == pytest.approx(series[-1].at("frozen", 2).value, abs=1e-4)


def test_verdict_table_is_the_verdict(run):
    verdict = read_answer(run).verdict
    _, *rows = verdict_table(verdict)
    assert {row[0]: row[5] for row in rows} == {name: test.finding for name, test in verdict.techniques.items()}


def test_latex_sets_bounds_as_numbers_and_in_mathematics():
    text = to_latex([["name", "limit", "word"], ["a", "≤ 1", "b"], ["c", "> 64", "1"], ["d", "4.4", "2"]])
    assert text.startswith(r"\begin{tabular}{lrl}")
    assert r"a & $\le$ 1 & b \\" in text
    assert r"c & $>$ 64 & 1 \\" in text
    assert text.isascii()


def test_latex_escapes_what_is_special_and_sets_numbers_right():
    text = to_latex([["name", "auc"], ["a_b & 50%", "0.5"], ["c\\d", ""]])
    assert r"\begin{tabular}{lr}" in text
    assert r"a\_b \& 50\% & 0.5 \\" in text
    assert r"c\textbackslash{}d &  \\" in text


def test_a_missing_number_is_an_empty_cell():
    assert number(math.nan) == number(None) == ""


def test_quality_table_sets_the_reals_beside_every_round(run):
    records = [record for record in read_records(run) if isinstance(record, QualityRecord)]
    rows = list(csv.DictReader(to_csv(quality_table(records)).splitlines()))
    assert [row["round"] for row in rows] == ["0", "1", "2", "reals"]
    assert {row["features"] for row in rows} == {"fitted"}
    assert float(rows[2]["kernel_distance_error"]) == pytest.approx(records[2].kernel_distance_error, abs=1e-4)
    assert float(rows[2]["frechet_distance"]) == records[2].frechet_distance
    assert float(rows[-1]["frechet_distance"]) == records[2].real_frechet_distance
    assert float(rows[-1]["density"]) == records[2].real_density
    assert (rows[-1]["memorisation"], rows[-1]["memorisation_low"]) == ("0.5000", "")
    assert quality_table([]) == []


@pytest.mark.parametrize(("features", "name"), [("inception", "fid"), ("dinov2", "frechet_distance")])
def test_only_the_frechet_distance_of_inception_is_called_fid(run, features, name):
    records = [
        dataclasses.replace(record, features=features, frechet_distance=None)
        for record in read_records(run)
        if isinstance(record, QualityRecord)
    ]
    header, first, *_ = quality_table(records)
    assert ("fid" in header) is (name == "fid")
    assert first[header.index(name)] == ""


@pytest.fixture(scope="module")
def games():
    race = np.array([[0.9, 0.95, 0.9], [0.2, 0.85, 0.9], [0.1, 0.3, 0.8]])
    return {name: solve(hand_made(values)) for name, values in {"cnn": race, "dct": [[0.7]]}.items()}


def test_game_table_has_one_row_a_technique(games):
    header, cnn, dct = game_table(games)
    row = dict(zip(header, cnn, strict=True))
    game = games["cnn"]
    assert (row["technique"], row["rounds"]) == ("cnn", "3")
    assert row["value"] == "0.8000"
    assert row["exploitability"] == "0.0000"
    assert row["interaction"] == f"{game.transitivity.interaction.value:.4f}"
    assert float(row["transitive"]) + float(row["interaction"]) == pytest.approx(1.0, abs=1e-4)
    assert row["reversals"] == f"{game.reversals.clear}/9"
    assert row["circles"] == "0/1"
    assert row["forgetting"] == "-0.0250"  # mean of 0.90 - 0.90 and 0.85 - 0.90
    assert row["generator_memory"] == "0.2000"
    assert float(row["generator_memory_low"]) < 0.2 < float(row["generator_memory_high"])
    empty = {name for name, cell in zip(header, dct, strict=True) if not cell}
    assert {"transitive", "interaction", "reversals", "circles", "forgetting", "generator_memory"} <= empty
    assert dict(zip(header, dct, strict=True))["exploitability"] == "0.0000"
    assert game_table({}) == [header]
