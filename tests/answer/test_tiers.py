"""Three verdicts: of deployed, transferred and adaptive detectors, each split by what the generator attacked."""

import dataclasses
from typing import Any

import pytest

from arena.answer.answer import answer_of, read_answer
from arena.answer.runs import read_run
from arena.answer.tiers import flipped_in_words, tier_rows, tiers_sentence
from tests.crossing import crossed
from tests.synthetic import synthetic_run

SMALL: dict[str, Any] = {"n_real": 400, "n_fake": 400}
TECHNIQUES = {"cnn": 0.9, "forest": 0.5}


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """Three runs of one response: deployed detectors at 0.05, transferred ones at 1/2, fresh ones of cnn at 0.9."""
    folder = tmp_path_factory.mktemp("tiers")
    runs = [
        synthetic_run(folder / str(seed), seed=seed, rounds=1, techniques=TECHNIQUES, frozen=0.05, **SMALL)
        for seed in range(3)
    ]
    alone = read_answer(runs[0]).tiers
    assert alone.transferred.attacked.answer is None
    assert not alone.transferred.attacked.techniques
    assert "transferred not measured" in tiers_sentence(alone)
    return crossed(runs, lambda judges, fakes, name: 0.5)


@pytest.mark.parametrize("count", [1, 3])
def test_each_verdict_reads_its_own_detectors(paths, count):
    answer = answer_of([read_run(path) for path in paths[:count]])
    tiers = answer.tiers
    assert list(tiers.deployed.attacked.techniques) == ["cnn"]
    assert list(tiers.deployed.not_attacked.techniques) == ["forest"]
    deployed = tiers.deployed.attacked.techniques["cnn"]
    assert deployed.auc == pytest.approx(0.05, abs=0.03)
    assert (deployed.finding, deployed.flipped, tiers.deployed.attacked.answer) == ("passes", True, "passes")
    transferred = tiers.transferred.attacked.techniques["cnn"]
    assert transferred.auc == pytest.approx(0.5, abs=0.05)
    assert (transferred.flipped, tiers.transferred.not_attacked.answer) == (False, "passes")
    findings = {each.technique: each.finding for each in answer.findings}
    assert (tiers.adaptive.attacked.answer, tiers.adaptive.not_attacked.answer) == ("caught", findings["forest"])
    adaptive = {**tiers.adaptive.attacked.techniques, **tiers.adaptive.not_attacked.techniques}
    assert {name: each.finding for name, each in adaptive.items()} == findings
    assert answer.verdict.answer == "caught"  # the headline is the adaptive verdict
    assert "opposite sign would catch: cnn (deployed, 0.0" in flipped_in_words(tiers)
    said = f"deployed passes / passes; transferred passes / passes; adaptive caught / {findings['forest']}"
    assert said in tiers_sentence(tiers)


def test_rows_name_counts_and_the_highest_auc(paths):
    rows = {name: parts for name, _, *parts in tier_rows(read_answer(paths[0]).tiers)}
    assert list(rows) == ["deployed", "transferred", "adaptive"]
    assert rows["adaptive"][0].startswith("caught by 1 of 1, cnn 0.9") or "cnn 0.8" in rows["adaptive"][0]
    assert rows["deployed"][1].startswith("passes 1 of 1, forest 0.0")


def test_verdict_json_has_the_three(paths):
    written = read_answer(paths[0]).verdict.as_json()["tiers"]
    assert isinstance(written, dict)
    assert list(written) == ["deployed", "transferred", "adaptive"]
    assert set(written["deployed"]) == {"attacked", "not_attacked"}
    assert set(written["deployed"]["attacked"]) == {"answer", "techniques"}
    assert set(written["deployed"]["attacked"]["techniques"]["cnn"]) == {"auc", "low", "high", "finding", "flipped"}


def test_without_a_response_nothing_was_attacked_and_nothing_deployed(tmp_path):
    run = synthetic_run(tmp_path / "run", rounds=0, techniques=TECHNIQUES, **SMALL)
    tiers = read_answer(run).tiers
    assert (tiers.deployed.attacked.answer, tiers.deployed.not_attacked.answer) == (None, None)
    assert not tiers.adaptive.attacked.techniques
    assert list(tiers.adaptive.not_attacked.techniques) == ["cnn", "forest"]
    assert tier_rows(tiers)[2][2] == "no such technique"


def test_a_branch_has_attacked_what_its_origin_attacked(tmp_path):
    """Its own access says nothing of a generator that never responded to it."""
    run = synthetic_run(tmp_path / "run", rounds=0, techniques=TECHNIQUES, **SMALL)
    branch = dataclasses.replace(read_run(run), config={**read_run(run).config, "start_attacked": ["forest"]})
    tiers = answer_of([branch]).tiers
    assert list(tiers.adaptive.attacked.techniques) == ["forest"]
    assert list(tiers.adaptive.not_attacked.techniques) == ["cnn"]


def test_a_control_attacks_nothing(tmp_path):
    run = synthetic_run(tmp_path / "run", rounds=1, access="none", techniques=TECHNIQUES, frozen=0.9, **SMALL)
    tiers = read_answer(run).tiers
    assert not tiers.deployed.attacked.techniques
    assert tiers.deployed.not_attacked.answer == "caught"


def test_judges_that_left_no_record_pass_nothing(tmp_path):
    run = synthetic_run(tmp_path / "run", rounds=0, techniques=TECHNIQUES, unrecorded=("cnn",), **SMALL)
    part = read_answer(run).tiers.adaptive.not_attacked
    assert part.techniques["cnn"].auc is None
    assert part.techniques["cnn"].finding == "unfit"
    assert part.answer == "undecided"
