import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from arena.answer.answer import answer_of, read_answer
from arena.answer.runs import declared, declared_hash, hash_of_reals, read_run
from arena.answer.verdict import floor_in_words
from arena.core.errors import ArenaError
from arena.records.schema import FitnessRecord, ScoreRecord
from tests.synthetic import synthetic_run

TWO = {"cnn": 0.5, "forest": 0.5}
FEW_CLASSES = {"class_distance_low": 0.25, "class_distance_high": 0.35}
MEMORISED = {"memorisation": 0.93, "memorisation_low": 0.9, "memorisation_high": 0.95}


def quick(run: Path, **settings: Any) -> Path:
    return synthetic_run(run, **({"techniques": TWO, "rounds": 0, "n_real": 2000, "n_fake": 2000} | settings))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "answer", "findings", "said"),
    [
        (
            {},
            "passes_all",
            "passes passes",
            "no technique in this battery, with this data and budget, exceeded AUC 0.",
        ),
        ({"techniques": TWO | {"cnn": 0.9}}, "caught", "caught passes", "1 of 2 techniques"),
        # one caught technique outweighs whatever else is wrong, but for memorising
        ({"techniques": TWO | {"cnn": 0.9}, "quality": {"recall": 0.01}}, "caught", "caught passes", "cnn"),
        ({"techniques": TWO | {"cnn": 0.9}, "unrecorded": ("forest",)}, "caught", "caught unfit", "cnn"),
        ({"techniques": TWO | {"cnn": 0.9}, "quality": MEMORISED}, "invalid", "caught passes", "memorised: 93%"),
        ({"quality": MEMORISED}, "invalid", "passes passes", "memorised"),
        ({"quality": {"kernel_distance": 0.5}}, "invalid", "passes passes", "lost quality"),
        ({"quality": {"kernel_distance": np.nan}}, "invalid", "passes passes", "lost quality"),
        # a guard that is not shown to hold forbids passing, and is no finding against the images
        ({"quality": {"kernel_distance": 0.079}}, "undecided", "passes passes", "quality of the images is not"),
        (
            {"quality": {"class_distance_high": 0.25}},
            "undecided",
            "passes passes",
            "classes of the images are not",
        ),
        (
            {"quality": FEW_CLASSES},
            "invalid",
            "passes passes",
            "up to 35%",
        ),
        ({"quality": {"missing_classes": ("digit=7",)}}, "invalid", "passes passes", "the images lack digit=7"),
        (
            {"quality": {"near_copies": 0.08, "near_copies_low": 0.05}},
            "invalid",
            "passes passes",
            "8% of its",
        ),
        (
            {"quality": {"exact_copies": 0.012, "exact_copies_p": 1e-6}},
            "invalid",
            "passes passes",
            "1.2% of",
        ),
        ({"quality": {"recall": 0.3}}, "invalid", "passes passes", "variety: 40%"),
        ({"quality": {"coverage": 0.2}}, "invalid", "passes passes", "variety"),
        ({"differences": ("format: PNG against JPEG",)}, "invalid", "passes passes", "differ in 1"),
        # a guard broken comes before what is merely undecided
        ({"quality": {"recall": 0.3}, "unrecorded": ("cnn",)}, "invalid", "unfit passes", "variety"),
        ({"techniques": TWO | {"cnn": 0.55}}, "undecided", "undecided passes", "test images of each class"),
        ({"n_real": 60, "n_fake": 60, "folds": 2}, "undecided", "undecided undecided", "test images of each class"),
        ({"half_loss": 0.08}, "undecided", "undecided undecided", "forest: not saturated, judges gain at most +0.09"),
        ({"loop_gain": 0.08}, "undecided", "undecided undecided", "the detector in the loop, retrained on these fakes"),
        ({"techniques": TWO | {"cnn": 0.85}, "loop_gain": 0.08}, "caught", "caught undecided", "cnn"),
        ({"unrecorded": ("cnn",)}, "undecided", "unfit passes", "cnn: unfit, fewer than 3 fresh judges"),
        ({"planted": {"forest": 0.53}}, "undecided", "passes unfit", "forest: unfit, did not catch the planted"),
        ({"techniques": TWO | {"cnn": 0.3}}, "undecided", "unfit passes", "below 1/2 - 0.05"),
        # a judge in want of data may still catch
        ({"techniques": TWO | {"cnn": 0.9}, "half_loss": 0.1}, "caught", "caught undecided", "cnn"),
        # frozen detectors prove nothing either way
        ({"frozen": 0.001, "rounds": 1, "seed": 1}, "passes_all", "passes passes", "Passes all"),
        ({"frozen": 0.999, "rounds": 1, "seed": 1}, "passes_all", "passes passes", "Passes all"),
    ],
)
def test_the_order_of_the_rules(tmp_path, settings, answer, findings, said):
    found = read_answer(quick(tmp_path / "run", **settings)).verdict
    assert found.answer == answer
    assert [its.finding for its in found.techniques.values()] == findings.split()
    assert said in found.sentence
    assert "undetectable" not in found.sentence.lower()


@pytest.fixture(scope="module")
def passed(tmp_path_factory):
    return quick(tmp_path_factory.mktemp("passed") / "run", rounds=1, seed=1)


def test_contract_of_verdict_json(passed):
    found = read_answer(passed).verdict
    found.write(passed)
    written = json.loads((passed / "verdict.json").read_text())
    keys = ["answer", "margin", "alpha", "round", "techniques", "tiers", "strongest", "limit"]
    assert list(written) == [*keys, "limit_reason", "distance", "control", "guards", "power", "faults", "sentence"]
    assert set(written["techniques"]["cnn"]) == {"auc", "low", "high", "access", "finding", "saturated", "gain_high"}
    assert [entry["access"] for entry in written["techniques"].values()] == ["gradients", "none"]
    assert list(written["guards"]) == ["quality", "variety", "classes", "memorisation", "judges", "provenance"]
    parts = {"figure", "threshold", "holds", "broken", "unit", "reason"}
    assert all(set(guard) == parts for guard in written["guards"].values())
    assert written["limit"] is None
    assert "at least 6 are needed" in written["limit_reason"]
    distance = ["technique", "total_variation", "jensen_shannon_bits", "images", "images_chernoff"]
    assert list(written["distance"]) == [*distance, "margins", "reasons"]
    assert written["control"] is None
    assert (written["margin"], written["alpha"], written["round"]) == (0.05, 0.05, 1)


def test_strongest_is_chosen_on_validation(tmp_path):
    """Whatever the test says: the chosen technique has the higher validation AUC and, here, the lower test AUC."""
    run = read_run(quick(tmp_path / "run", techniques={"cnn": 0.9, "forest": 0.8}))
    validation = {"cnn": 0.7, "forest": 0.95}
    records = [
        dataclasses.replace(record, validation_auc=validation[record.technique])
        if isinstance(record, ScoreRecord) and record.regime == "fresh"
        else record
        for record in run.records
    ]
    found = answer_of([dataclasses.replace(run, records=tuple(records))]).verdict.strongest
    assert found is not None
    assert found.technique == "forest"
    assert found.auc == pytest.approx(0.8, abs=0.03)
    assert found.oracle is not None
    assert found.oracle.low < 0.5 < found.oracle.high
    assert found.equal_n is not None
    assert found.equal_n.low < 0.8 < found.equal_n.high
    assert found.floor is not None
    assert found.floor.low < 0.7 < found.floor.high
    (words,) = floor_in_words(found)
    assert f"{found.floor.value:.3f} [{found.floor.low:.3f}, {found.floor.high:.3f}]" in words
    assert floor_in_words(dataclasses.replace(found, floor=None)) == []


def test_infinite_figures_are_null(tmp_path):
    found = read_answer(quick(tmp_path / "run", quality={"unit_kernel_distance": 0.0})).verdict
    assert found.answer == "invalid"
    found.write(tmp_path)
    assert json.loads((tmp_path / "verdict.json").read_text())["guards"]["quality"]["figure"] is None


def test_unfinished(tmp_path):
    run = quick(tmp_path / "run", rounds=1, n_real=60, n_fake=60, finished=False)
    with pytest.raises(ArenaError, match=r"run: not finished \(round 1 of 1\)"):
        read_answer(run)


@pytest.fixture
def small(tmp_path):
    return quick(tmp_path / "run", n_real=60, n_fake=60)


def test_altered_declaration(small):
    path = small / "config.yaml"
    config = yaml.safe_load(path.read_text())
    config["answer"]["margin"] = 0.2
    path.write_text(yaml.safe_dump(config))
    with pytest.raises(ArenaError, match="declared"):
        read_answer(small)


@pytest.mark.parametrize("key", ["battery", "judge", "answer", "race", "data"])
def test_declaration_names_the_missing_key(passed, key):
    config = yaml.safe_load((passed / "config.yaml").read_text())
    del config[key]
    with pytest.raises(ArenaError, match=key):
        declared(config)


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("answer", "alpha", 0.1),
        ("race", "rounds", 9),
        ("judge", "seeds", 5),
        ("data", "seed", 3),
        ("battery", "stack", {}),
        ("battery", "images", 7),
        ("generator", "width", 7),
        ("access", "name", "mine"),
    ],
)
def test_declaration_hash_covers_the_terms(passed, group, key, value):
    config = yaml.safe_load((passed / "config.yaml").read_text())
    before = declared_hash(declared(config))
    config[group][key] = value
    assert declared_hash(declared(config)) != before


def test_tested_on_other_reals_than_declared(small):
    """The hash of which reals test is part of what is declared; the scores must be of those."""
    config = yaml.safe_load((small / "config.yaml").read_text())
    config["judge_reals"] = hash_of_reals(np.arange(60))
    config["declared"] = declared_hash(declared(config))
    (small / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(ArenaError, match=r"fresh-cnn-0-0-0\.npz: not tested on the reals declared beforehand"):
        read_answer(small)


def test_tampered_scores(small):
    (small / "scores" / "fresh-cnn-0-0-1.npz").write_bytes(b"other")
    with pytest.raises(ArenaError, match="SHA-256"):
        read_answer(small)


def test_a_run_without_halved_judges_clears_nothing(tmp_path):
    run = read_run(quick(tmp_path / "run"))
    kept = [r for r in run.records if not (isinstance(r, FitnessRecord) and r.share == 0.5)]
    assert answer_of([dataclasses.replace(run, records=tuple(kept))]).verdict.answer == "undecided"


def test_over_runs(tmp_path):
    """One verdict for the condition; the guard of any run breaks it."""
    paths = [
        quick(tmp_path / str(seed), seed=seed, data_seed=seed, quality={"recall": 0.1} if seed == 2 else None)
        for seed in range(3)
    ]
    runs = [read_run(path) for path in paths]
    together, alone = answer_of(runs).verdict, answer_of(runs[:1]).verdict
    assert (together.answer, alone.answer) == ("invalid", "passes_all")
    assert together.guards.variety.figure == pytest.approx(0.1 / 0.75)
    assert "of 3 runs:" in together.sentence


@pytest.mark.parametrize(("origins", "said"), [((0, 0, 0), True), ((0, 1, 2), False)])
def test_runs_that_all_branched_from_one_are_said_to(passed, origins, said):
    run = read_run(passed)
    runs = [dataclasses.replace(run, config={**run.config, "start_seed": seed}) for seed in origins]
    assert ("of 3 runs that all branched from one:" in answer_of(runs).verdict.sentence) == said
    assert "branched" not in answer_of(runs[:1]).verdict.sentence


def test_of_many_that_caught_the_sentence_names_the_highest_and_counts_the_others(tmp_path):
    techniques = {f"technique_{k}": 0.7 + 0.03 * k for k in range(8)}
    found = read_answer(quick(tmp_path / "run", techniques=techniques, n_real=300, n_fake=300)).verdict
    assert "8 of 8 techniques" in found.sentence
    assert " and 3 more. " in found.sentence
    assert found.sentence.index("technique_7)") < found.sentence.index("technique_3)")
    assert "technique_2)" not in found.sentence


def test_every_technique_says_whether_its_judges_are_saturated(tmp_path):
    """Caught or not, beside the upper bound of the gain. The sentence names those that are not."""
    found = read_answer(quick(tmp_path / "run", techniques=TWO | {"cnn": 0.9}, half_loss=0.06, n_real=600)).verdict
    for test in found.techniques.values():
        assert test.saturated is False
        assert test.gain_high is not None
        assert 0.06 < test.gain_high < 0.13
    named = ", ".join(found.techniques)
    assert f"Not saturated, so that twice the data may add more than 0.025: {named}." in found.sentence


def test_an_undecided_technique_that_wants_images_may_want_judges_with_more_data_too(tmp_path):
    found = read_answer(quick(tmp_path / "run", techniques={"cnn": 0.53}, half_loss=0.06, n_real=300)).verdict
    assert found.answer == "undecided"
    assert "cnn: AUC 0.5" in found.sentence
    assert "Not saturated, so that twice the data may add more than 0.025: cnn." in found.sentence


def test_saturation_needs_no_larger_gain_in_a_larger_battery(tmp_path):
    """Each technique is tested at alpha alone, since a correction for their number would favour the generator."""
    techniques = {f"technique_{k}": 0.5 for k in range(12)}
    small = read_answer(quick(tmp_path / "one", techniques={"technique_0": 0.5}, half_loss=0.03)).verdict
    large = read_answer(quick(tmp_path / "all", techniques=techniques, half_loss=0.03)).verdict
    assert small.techniques["technique_0"] == large.techniques["technique_0"]
    assert {test.finding for test in large.techniques.values()} == {"undecided"}
