import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from arena.core.errors import ArenaError
from arena.training.attack import Access
from tests.detectors.planted import CONF

# condition, held out, differentiable, told?
TOLD = [
    ("white_box", [], True, True),
    ("white_box", [], False, False),
    ("white_box", ["dct"], True, True),
    ("white_box", ["cnn"], True, False),
    ("none", [], True, False),
    ("none", [], False, False),
    ("none", ["cnn"], True, False),
    ("placebo", [], True, True),
    ("placebo", [], False, False),
    ("placebo", ["cnn"], True, False),
]


def access(name, held_out=()) -> Access:
    config = OmegaConf.load(CONF / "access" / f"{name}.yaml")
    return instantiate(config, held_out=list(held_out), _convert_="all")


@pytest.mark.parametrize(("name", "held_out", "differentiable", "told"), TOLD)
def test_who_is_told(name, held_out, differentiable, told):
    assert access(name, held_out).attacks("cnn", differentiable) is told


def test_placebo_is_white_box_but_for_the_reals_and_only_it_trains_on_the_generators():
    white_box, none, placebo = (access(name) for name in ("white_box", "none", "placebo"))
    assert (white_box.gradients, placebo.gradients, none.gradients) == (True, True, False)
    assert (white_box.reals, placebo.reals, none.reals) == ("detector", "generator", "detector")
    assert [condition.name for condition in (white_box, none, placebo)] == ["white_box", "none", "placebo"]


def test_the_judges_reals_are_not_to_be_had():
    with pytest.raises(ArenaError, match=r"access.reals=judge: expected detector or generator"):
        Access(name="cheat", gradients=True, reals="judge")  # type: ignore[arg-type]
