import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from arena.records.schema import AccessLevel
from arena.training.access import Access
from tests.detectors.planted import CONF


def access(name, held_out=()) -> Access:
    config = OmegaConf.load(CONF / "access" / f"{name}.yaml")
    return instantiate(config, held_out=list(held_out), _convert_="all")


ALL: list[AccessLevel] = ["labels", "scores", "features", "gradients"]


@pytest.mark.parametrize(
    ("name", "held_out", "admitted", "level"),
    [
        ("everything", [], ALL, "gradients"),
        ("everything", [], ["labels", "scores", "features"], "features"),
        ("everything", [], ["labels", "scores"], "scores"),
        ("everything", ["cnn"], ALL, "none"),
        ("white_box", [], ALL, "gradients"),
        ("white_box", [], ["labels", "scores", "features"], "none"),
        ("white_box", ["dct"], ALL, "gradients"),
        ("features", [], ALL, "features"),
        ("scores", [], ALL, "scores"),
        ("labels", [], ALL, "labels"),
        ("labels", [], ["gradients"], "none"),
        ("none", [], ALL, "none"),
        ("other_reals", [], ALL, "gradients"),
        ("other_reals", [], ["labels", "scores", "features"], "features"),
        ("equal_norm", [], ["labels", "scores"], "none"),
    ],
)
def test_a_technique_has_the_highest_level_that_it_admits_and_the_access_grants(name, held_out, admitted, level):
    assert access(name, held_out).level("cnn", admitted) == level


def test_each_control_differs_from_its_attack_in_one_thing():
    names = ("everything", "none", "other_reals", "random", "white_box", "equal_norm")
    found = {name: access(name) for name in names}
    assert {name: (bool(one.levels), one.reals, one.labels, one.critics) for name, one in found.items()} == {
        "everything": (True, "detector", "true", "techniques"),
        "none": (False, "detector", "true", "techniques"),
        "other_reals": (True, "generator", "true", "techniques"),
        "random": (True, "detector", "true", "random"),
        "white_box": (True, "detector", "true", "techniques"),
        "equal_norm": (True, "detector", "shuffled", "techniques"),
    }
    assert found["random"].levels == found["other_reals"].levels == found["everything"].levels
    assert found["equal_norm"].levels == found["white_box"].levels
    attacks = ("everything", "white_box", "features", "scores", "labels")
    assert [one.control for one in map(access, (*names, *attacks))] == [
        name not in attacks for name in (*names, *attacks)
    ]
