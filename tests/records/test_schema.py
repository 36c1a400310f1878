import dataclasses
import json
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.errors import ArenaError
from arena.metrics.auc import summarise
from arena.records.schema import Quality, QualityRecord, Record, Scores, TrainingRecord, kept_in
from arena.records.store import parse_lines, to_lines

KINDS = get_args(Record)
st.register_type_strategy(float, st.floats(allow_nan=False))
QUALITY = Quality(**{field.name: number for number, field in enumerate(dataclasses.fields(Quality))})


def records(kind: type) -> st.SearchStrategy[Record]:
    types = {name: hint for name, hint in get_type_hints(kind).items() if not name.startswith("_")}
    return st.builds(kind, **{name: st.from_type(hint) for name, hint in types.items()})


@settings(max_examples=100, deadline=None)
@given(st.one_of(*map(records, KINDS)))
def test_a_record_comes_back_from_its_line(record):
    (line,) = to_lines([record]).splitlines()
    assert parse_lines(Path(), [line]) == [record]


@settings(max_examples=len(KINDS) * 3, deadline=None)
@given(st.one_of(*map(records, KINDS)))
def test_a_line_has_flat_fields_and_begins_with_the_kind(record):
    line = json.loads(to_lines([record]))
    assert list(line)[:3] == ["kind", "round", "seed"]
    assert {name for name, value in line.items() if isinstance(value, dict)} <= {"scores", "opponents", "files"}


def test_the_fields_of_a_score_line_that_scripts_read():
    (kind,) = (kind for kind in KINDS if kind.kind == "score")
    assert {field.name for field in dataclasses.fields(kind)} == {
        *("kind", "round", "seed", "technique", "detector", "regime", "access", "judge_seed"),
        *("judge_images", "judge_run"),
        *("generator_round", "detector_round", "auc", "auc_low", "auc_high", "p_above", "p_below"),
        *("average_precision", "average_precision_chance", "eer", "log_loss", "n_real", "n_fake"),
        *(f"tpr_at_{rate}pct_fpr{end}" for rate in (1, 5) for end in ("", "_low", "_high")),
        *("validation_auc", "scores"),
    }


PHASE = {
    "kind": "phase",
    "round": 0,
    "seed": 0,
    "phase": "judge",
    "player": "cnn",
    "images": 64,
    "seconds": 0.1,
    "peak_memory_mib": 1.0,
    "device": "cpu",
    "precision": "fp32",
}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "Invalid JSON"),
        ("[]", "object"),
        ("{}", "kind"),
        (json.dumps(PHASE | {"kind": "verdict"}), "verdict"),
        (json.dumps(PHASE | {"extra": 1}), "extra: "),
        (json.dumps({name: value for name, value in PHASE.items() if name != "device"}), "device: "),
        (json.dumps(PHASE | {"round": "0"}), "round: "),
        (json.dumps(PHASE | {"seconds": None}), "seconds: "),
    ],
)
def test_another_line_is_refused_with_its_place_and_field(line, problem):
    with pytest.raises(ArenaError, match=rf"^records\.jsonl, line 3: expected a record .*{problem}"):
        parse_lines(Path("records.jsonl"), [json.dumps(PHASE), json.dumps(PHASE), line])


def test_figures_of_a_quality_by_the_names_of_a_record():
    reals = kept_in(QualityRecord, QUALITY, "real_")
    assert {"real_kernel_distance", "real_coverage"} <= set(reals)
    assert not {"real_n", "real_memorisation"} & set(reals)
    assert reals["real_recall"] == QUALITY.recall
    assert kept_in(TrainingRecord, QUALITY)["coverage"] == QUALITY.coverage
    assert set(kept_in(TrainingRecord, None).values()) == {None}


def test_scores_of_some_images():
    values = np.arange(8)
    scores = Scores(values.astype(np.float32), (values % 2).astype(np.uint8), values, values.astype(np.uint8), values)
    fakes = scores.take(scores.label == 1)
    assert all(column.tolist() == [1, 3, 5, 7] for column in (fakes.score, fakes.image, fakes.source))
    fields = summarise(scores._replace(fold=np.zeros(8, np.uint8)), 0.05).as_fields()
    assert fields.keys() == {"auc", "auc_low", "auc_high"}
