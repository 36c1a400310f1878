"""Values outside their declared type or bounds are refused with their whole key, in constructors and in the schema."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

import annotated_types
import pytest
import yaml
from hydra.utils import get_object
from omegaconf import OmegaConf
from pydantic import Field
from pydantic.fields import FieldInfo

from arena.config.compose import CONF
from arena.config.instantiate import check_value, instantiate, parameters
from arena.config.schema import ArenaConfig, Group
from arena.core.errors import ArenaError
from arena.imaging.evidence import Evidence

PART = "tests.config.test_instantiate.Part"


class Part:
    def __init__(self, size: Annotated[int, Field(ge=1)], of: Any = None, side: int | None = None) -> None:
        self.size, self.of, self.side = size, of, side


def targets(node: object) -> Iterator[str]:
    """Every ``_target_`` in a config."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)


def outside(hint: Any) -> Iterator[Any]:
    """A value just outside each bound that a type declares."""
    whole = int in get_args(hint)
    for part in get_args(hint):
        for bound in part.metadata if isinstance(part, FieldInfo) else [part]:
            limit: Any = getattr(bound, type(bound).__name__.lower(), None)
            match bound:
                case annotated_types.Ge():
                    yield limit - 1 if whole else math.nextafter(limit, -math.inf)
                case annotated_types.Le():
                    yield limit + 1 if whole else math.nextafter(limit, math.inf)
                case annotated_types.Gt() | annotated_types.Lt():
                    yield limit if whole else float(limit)
                case annotated_types.MinLen(min_length=1):
                    yield []
        if not isinstance(part, FieldInfo):
            yield from outside(part)


TARGETS = sorted({name for path in CONF.rglob("*.yaml") for name in targets(yaml.safe_load(path.read_text()))})
OUTSIDE = [
    (target, name, value)
    for target in TARGETS
    for name, hint in parameters(get_object(target))[0].items()
    for value in dict.fromkeys(map(repr, outside(hint)))
]
GROUPS = [ArenaConfig, *(f.type for f in dataclasses.fields(ArenaConfig) if dataclasses.is_dataclass(f.type))]
OUTSIDE_SCHEMA = [
    (group, field.name, value)
    for group in GROUPS
    for field in dataclasses.fields(group)
    for value in outside(field.metadata.get("hint"))
]


@pytest.mark.parametrize(("target", "name", "value"), OUTSIDE, ids=str)
def test_a_value_outside_the_bounds_of_a_constructor_is_refused(target, name, value):
    with pytest.raises(ArenaError) as error:
        instantiate(OmegaConf.create({"_target_": target, name: yaml.safe_load(value)}), "part")
    assert str(error.value).startswith(f"part.{name}={value}: expected ")
    assert "\n" not in str(error.value)


def test_many_constructors_declare_bounds():
    assert len({target for target, *_ in OUTSIDE}) > 20
    assert {group.KEY for group, *_ in OUTSIDE_SCHEMA} >= {"", "schedule", "bank", "battery", "judge", "answer"}


@pytest.mark.parametrize(("group", "name", "value"), OUTSIDE_SCHEMA, ids=str)
def test_a_value_outside_the_bounds_of_the_schema_is_refused(group: type[Group], name, value):
    with pytest.raises(ArenaError) as error:
        group(**{name: value})
    assert str(error.value).startswith(f"{group.KEY}.{name}={value}: expected ".lstrip("."))


WORDS = [
    (0, Annotated[int, Field(ge=1)], "at least 1"),
    (4, Evidence.__annotations__["resize"], "at least 8 or null"),
    (0.0, Annotated[float, Field(gt=0)], "above 0"),
    (1.5, Annotated[float, Field(ge=0, le=1)], "at most 1"),
    (1.0, Annotated[float, Field(ge=0, lt=1)], "below 1"),
    (0.5, int, "a whole number"),
    (True, int, "a whole number"),
    ("8", int | None, "a whole number or null"),
    ("8", float | Literal["rule"], "a number or rule"),
    (1, bool, "true or false"),
    (3, str, "text"),
    ("cnn", list[str], "a list"),
    ([1, 0], list[Annotated[int, Field(gt=0)]], "entry 1 to be above 0"),
    ([], Annotated[list[int], Field(min_length=1)], "a list of 1 or more"),
    ("fp8", Literal["auto", "bf16", "fp32"], "auto, bf16 or fp32"),
    (3, Part, "an instance of Part"),
]


@pytest.mark.parametrize(("value", "hint", "words"), WORDS, ids=str)
def test_the_expected_value_is_stated_in_plain_words(value, hint, words):
    with pytest.raises(ArenaError) as error:
        check_value(value, hint, "part.size")
    assert str(error.value) == f"part.size={value}: expected {words}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"_target_": PART, "size": 0}, "part.size=0: expected at least 1"),
        ({"_target_": PART, "sice": 1}, "part.sice: no such key, expected one of size, of, side"),
        ({"_target_": PART, "size": 1, "of": {"_target_": PART, "size": 0}}, "part.of.size=0: expected at least 1"),
        ({"_target_": "arena.no.Such"}, "part._target_=arena.no.Such: expected the name of a class that is there"),
        ({"_target_": PART}, "part: cannot be built"),
        ({"size": 1}, "part={'size': 1}: expected a part, with a _target_"),
        (None, "part=null: expected a part, with a _target_"),
    ],
)
def test_a_part_that_cannot_be_built_is_named(settings: Any, message: str):
    with pytest.raises(ArenaError) as error:
        instantiate(OmegaConf.create({"part": settings}).part, "part")
    assert str(error.value).startswith(message)


def test_a_part_is_built_from_its_node_and_the_given_values():
    node = OmegaConf.create({"_target_": PART, "size": 1, "of": {"_target_": PART, "size": 2}})
    part = instantiate(node, "part", side=8)
    assert (part.size, part.of.size, part.side) == (1, 2, 8)


def test_a_parameter_that_the_race_decides_is_no_key():
    node = OmegaConf.create({"_target_": PART, "_partial_": True, "size": 1, "side": 8})
    with pytest.raises(ArenaError, match=r"part\.side: no such key, expected one of size, of"):
        instantiate(node, "part", ["side"])
