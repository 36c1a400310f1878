import csv
import math

import pytest

from arena.answer.verdict import read_verdict
from arena.figures.series import read_series
from arena.figures.tables import number, scores_table, to_csv, to_latex, verdict_table
from arena.records import read_records


def test_scores_table_holds_every_round_and_technique(run):
    series = read_series(run, read_records(run))
    rows = list(csv.DictReader(to_csv(scores_table(series)).splitlines()))
    assert [(row["round"], row["technique"]) for row in rows] == [
        (str(r), t) for r in range(3) for t in ("cnn", "forest", "stack")
    ]
    assert rows[0]["frozen"] == ""
    assert float(rows[-1]["fresh"]) == pytest.approx(series[-1].at("fresh", 2).auc, abs=1e-4)
    assert float(rows[-1]["frozen"]) == pytest.approx(series[-1].at("frozen", 2).auc, abs=1e-4)


def test_verdict_table_is_the_verdict(run):
    verdict = read_verdict(run)
    _, *rows = verdict_table(verdict)
    assert {row[0]: row[-1] for row in rows} == {name: its.finding for name, its in verdict.techniques.items()}


def test_latex_escapes_what_is_special_and_sets_numbers_right():
    text = to_latex([["name", "auc"], ["a_b & 50%", "0.5"], ["c\\d", ""]])
    assert r"\begin{tabular}{lr}" in text
    assert r"a\_b \& 50\% & 0.5 \\" in text
    assert r"c\textbackslash{}d &  \\" in text


def test_a_missing_number_is_an_empty_cell():
    assert number(math.nan) == number(None) == ""
