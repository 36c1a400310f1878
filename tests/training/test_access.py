import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from arena.training.access import Access
from tests.detectors.planted import CONF


def access(name, held_out=()) -> Access:
    config = OmegaConf.load(CONF / "access" / f"{name}.yaml")
    return instantiate(config, held_out=list(held_out), _convert_="all")


@pytest.mark.parametrize(
    ("name", "held_out", "differentiable", "attacked"),
    [
        ("white_box", [], True, True),
        ("white_box", [], False, False),
        ("white_box", ["dct"], True, True),
        ("white_box", ["cnn"], True, False),
        ("none", [], True, False),
        ("other_reals", [], True, True),
        ("other_reals", ["cnn"], True, False),
        ("equal_norm", [], False, False),
    ],
)
def test_attacked_techniques_are_differentiable_and_not_held_out(name, held_out, differentiable, attacked):
    assert access(name, held_out).attacks("cnn", differentiable) is attacked


def test_each_control_differs_from_white_box_in_one_thing():
    found = {name: access(name) for name in ("white_box", "none", "other_reals", "equal_norm", "random")}
    assert {name: (one.gradients, one.reals, one.labels, one.critics) for name, one in found.items()} == {
        "white_box": (True, "detector", "true", "techniques"),
        "none": (False, "detector", "true", "techniques"),
        "other_reals": (True, "generator", "true", "techniques"),
        "equal_norm": (True, "detector", "shuffled", "techniques"),
        "random": (True, "detector", "true", "random"),
    }
    assert [(one.name, one.control) for one in found.values()] == [(name, name != "white_box") for name in found]
    assert [name for name, one in found.items() if one.knows] == ["white_box", "other_reals"]
