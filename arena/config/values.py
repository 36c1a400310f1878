"""Check values against declared types and bounds, and state in plain words the value that was expected."""

from types import NoneType
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from arena.core.errors import ArenaError

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


def check_value(value: object, hint: Any, key: str) -> None:
    """Refuse a value that is not of a declared type, or outside its declared bounds.

    Args:
        value: of a configuration. It is not converted: text that reads as a number is no number.
        hint: the type, with its bounds as ``Annotated[int, Field(ge=1)]``.
        key: dotted key of the value.

    Raises:
        ArenaError: naming key and value, and the value that was expected.
    """
    try:
        TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True, strict=True)).validate_python(value)
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
