import shutil

import pytest
import torch
import yaml

from arena.core.errors import ArenaError
from arena.mix.generator import style_generator
from arena.race.phases.forge import load_generator


def test_it_is_the_generator_the_banks_were_forged_with(finished):
    for asked, round_index in ((None, finished.rounds), (1, 1)):
        generator, found = style_generator(finished.run, asked)
        assert found == round_index
        expected = load_generator(finished, round_index).state_dict()
        for name, values in generator.state_dict().items():
            assert torch.equal(values, expected[name]), name
        assert not generator.training
        assert not any(parameter.requires_grad for parameter in generator.parameters())


def altered(run, tmp_path, **nodes):
    """The run's config with other nodes, without its checkpoints."""
    shutil.copytree(run, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints", "scores"))
    path = tmp_path / "run" / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | nodes))
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        (
            {"generator": {"_target_": "arena.generators.dcgan.DcganGenerator"}},
            "generator=Dcgan.*: expected StyleGenerator",
        ),
        ({"generator": {"_target_": "arena.generators.controls.Oracle"}}, "generator=Oracle: expected StyleGenerator"),
        ({"generator": {"_target_": "no.such.thing"}}, "expected the name of a class that is there"),
        ({"generator": None}, "expected the name of a class that is there"),
        ({}, "expected checkpoints of a generator, found none"),
    ],
)
def test_what_has_no_style_generator_is_named(finished, tmp_path, nodes, said):
    with pytest.raises(ArenaError, match=said):
        style_generator(altered(finished.run, tmp_path, **nodes))


def test_a_round_there_is_not(finished):
    with pytest.raises(ArenaError, match=r"--round=7: expected a round of .*, which has 0 to 2"):
        style_generator(finished.run, 7)
