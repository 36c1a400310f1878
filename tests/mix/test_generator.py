import shutil

import pytest
import torch
import yaml

from arena.core.errors import ArenaError
from arena.mix.generator import load_style_generator
from arena.race.checkpoints import load_generator


def test_the_generator_is_the_one_that_forged_the_banks(finished):
    for wanted, round_index in ((None, finished.rounds), (1, 1)):
        generator, loaded = load_style_generator(finished.run, wanted)
        assert loaded == round_index
        expected = load_generator(finished, round_index).state_dict()
        for name, values in generator.state_dict().items():
            assert torch.equal(values, expected[name]), name
        assert not generator.training
        assert not any(parameter.requires_grad for parameter in generator.parameters())


def altered(run, tmp_path, **nodes):
    """Copy a run with other nodes in its config, and without its checkpoints."""
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "scores"))
    path = tmp_path / "run" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | nodes))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ({"generator": {"_target_": "arena.generators.controls.Oracle"}}, "generator=Oracle: expected StyleGenerator"),
        ({"generator": {"_target_": "no.such.thing"}}, "expected the name of a class that can be imported"),
        ({"generator": None}, "expected the name of a class that can be imported"),
        ({}, "expected checkpoints of a generator, found none"),
    ],
)
def test_runs_without_a_style_generator_are_refused(finished, tmp_path, nodes, message):
    with pytest.raises(ArenaError, match=message):
        load_style_generator(altered(finished.run, tmp_path, **nodes))


def test_a_missing_round_is_refused(finished):
    with pytest.raises(ArenaError, match=r"--round=7: expected a round of .*, which has 0 to 2"):
        load_style_generator(finished.run, 7)
