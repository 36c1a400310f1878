"""Build parts from their configs, with keys and values checked against the types and bounds of constructors."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from types import NoneType
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from arena.core.errors import ArenaError, first_line

SHAPE = ("resolution", "channels", "levels")
"""Parameters of generators and detectors that the data decides."""
_WORDS = {
    "greater_than_equal": "at least {ge:g}",
    "greater_than": "above {gt:g}",
    "less_than_equal": "at most {le:g}",
    "less_than": "below {lt:g}",
    "multiple_of": "a multiple of {multiple_of:g}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "literal_error": "{expected}",
    "too_short": "a list of {min_length} or more",
    "too_long": "a list of {max_length} or fewer",
    "string_too_short": "text of {min_length} characters or more",
}
"""Kind of pydantic's error -> the value it expects."""


def instantiate(node: DictConfig | None, key: str, race_decides: Collection[str] = (), **values: Any) -> Any:
    """Return what the ``_target_`` of a node builds.

    Args:
        node: part of the composed config.
        key: dotted key of the node, for errors.
        race_decides: parameters that the caller passes later and the config may not set.
        values: values that replace those of the node.

    Raises:
        ArenaError: naming the key, for a key the constructor does not have, a value outside its declared type or
            bounds, or any other failure to build it.
    """
    settings = OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    if not isinstance(settings, dict) or "_target_" not in settings:
        raise ArenaError(f"{key}={'null' if settings is None else settings}: expected a part, with a _target_")
    try:
        _check({str(name): value for name, value in (settings | values).items()}, key, race_decides)
        return hydra_instantiate(settings, _convert_="all", **values)
    except ArenaError:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
        if isinstance(cause, ArenaError):
            raise ArenaError(str(cause)) from error
        raise ArenaError(f"{key}: cannot be built ({first_line(cause)})") from error


def check_keys(names: Iterable[str], known: Collection[str], key: str) -> None:
    """Refuse an unknown key, since Hydra's ``+key=value`` adds any.

    Raises:
        ArenaError: naming the key and the known ones.
    """
    for name in names:
        if name not in known:
            whole = f"{key}.{name}" if key else name
            raise ArenaError(f"{whole}: no such key, expected one of {', '.join(known)}")


def parameters(target: Callable[..., object]) -> tuple[dict[str, Any], bool]:
    """Return the declared type of each parameter of a constructor, and whether it takes further keywords."""
    declared: dict[str, Any] = {}
    takes_more = False
    for name, parameter in inspect.signature(target, eval_str=True).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            declared[name] = parameter.annotation
        elif get_origin(parameter.annotation) is Unpack:  # keywords that several constructors share
            declared |= get_type_hints(*get_args(parameter.annotation), include_extras=True)
        else:
            takes_more = True
    return declared, takes_more


def _check(settings: Mapping[str, Any], key: str, race_decides: Collection[str]) -> None:
    """Check keys and values against the constructor that ``_target_`` names."""
    try:
        target = get_object(settings["_target_"])
    except Exception as error:
        raise ArenaError(
            f"{key}._target_={settings['_target_']}: expected the name of a class that is there"
        ) from error
    declared, takes_more = parameters(target)
    given = {name: value for name, value in settings.items() if not name.startswith("_")}  # without Hydra's own keys
    if not takes_more:
        check_keys(given, [name for name in declared if name not in race_decides], key)
    for name, value in given.items():
        hint = declared.get(name, inspect.Parameter.empty)
        if isinstance(value, Mapping) and "_target_" in value:  # a part within the part
            _check({str(inner): setting for inner, setting in value.items()}, f"{key}.{name}", ())
        elif hint is not inspect.Parameter.empty:
            check_value(value, hint, f"{key}.{name}")


def check_value(value: object, hint: Any, key: str) -> None:
    """Refuse a value that is not of a declared type, or outside its declared bounds.

    Args:
        value: of a configuration. It is not converted: text that reads as a number is no number.
        hint: the type, with its bounds as ``Annotated[int, Field(ge=1)]``.
        key: dotted key of the value.

    Raises:
        ArenaError: naming key and value, and the value that was expected in plain words.
    """
    try:
        settings = ConfigDict(arbitrary_types_allowed=True, strict=True, allow_inf_nan=False)
        TypeAdapter(hint, config=settings).validate_python(value)
    except ValidationError as error:
        expected = dict.fromkeys(map(_in_words, error.errors(include_url=False)))
        if NoneType in get_args(hint):
            expected |= {"null": None}
        shown = "null" if value is None else value
        raise ArenaError(f"{key}={shown}: expected {' or '.join(expected)}") from error


def _in_words(error: ErrorDetails) -> str:
    template = _WORDS.get(error["type"])
    if template is None:
        return error["msg"].removeprefix("Input should be ")
    place = f"entry {error['loc'][-1]} to be " if error["loc"] and isinstance(error["loc"][-1], int) else ""
    return place + template.format(**error.get("ctx", {})).replace("'", "")
