"""A part from its config: keys and values are held against its constructor, then Hydra builds it."""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Unpack, get_args, get_origin, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_object
from hydra.utils import instantiate as hydra_instantiate
from omegaconf import DictConfig, OmegaConf
from pydantic import ConfigDict, TypeAdapter, ValidationError

from arena.core.errors import ArenaError, first_line

SHAPE = ("resolution", "channels", "levels")
"""Of the images: the data decides it, and the race hands it to generators and detectors."""


def instantiate(node: DictConfig | None, key: str, race_decides: Collection[str] = (), **values: Any) -> Any:
    """What a node's ``_target_`` builds.

    Args:
        node: of the composed config.
        key: where it stands there.
        race_decides: parameters that stay open, since the race hands them over.
        values: that stand in for those of the node.

    Raises:
        ArenaError: naming the key, for a key the constructor does not have, a value of another type than it declares,
            or whatever else keeps it from being built.
    """
    settings = None if node is None else OmegaConf.to_container(node, resolve=True)
    if not isinstance(settings, dict) or "_target_" not in settings:
        raise ArenaError(f"{key}={'null' if settings is None else settings}: expected a part, with a _target_")
    target = _target(settings, key)
    try:
        _check(target, {str(name): value for name, value in (settings | values).items()}, key, race_decides)
        return hydra_instantiate(settings, _convert_="all", **values)
    except ArenaError:
        raise
    except Exception as error:
        cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
        if isinstance(cause, ArenaError):
            raise ArenaError(str(cause)) from error
        raise ArenaError(f"{key}: cannot be built ({first_line(cause)})") from error


def _target(settings: Mapping[Any, Any], key: str) -> Callable[..., object]:
    """The class or function that a part's settings name."""
    try:
        return get_object(settings["_target_"])
    except Exception as error:
        raise ArenaError(
            f"{key}._target_={settings['_target_']}: expected the name of a class that is there"
        ) from error


def check_keys(found: Iterable[str], known: Collection[str], key: str) -> None:
    """Refuse a key that nobody reads: Hydra lets ``+key=value`` add any.

    Raises:
        ArenaError: naming it and the keys there are.
    """
    for name in found:
        if name not in known:
            whole = f"{key}.{name}" if key else name
            raise ArenaError(f"{whole}: no such key, expected one of {', '.join(known)}")


def _parameters(target: Callable[..., object]) -> tuple[dict[str, Any], bool]:
    """What each parameter of a constructor is declared as, and whether it takes any others."""
    declared: dict[str, Any] = {}
    more = False
    for name, parameter in inspect.signature(target, eval_str=True).parameters.items():
        if parameter.kind is not parameter.VAR_KEYWORD:
            declared[name] = parameter.annotation
        elif get_origin(parameter.annotation) is Unpack:  # keywords that several constructors have in common
            declared |= get_type_hints(*get_args(parameter.annotation), include_extras=True)
        else:
            more = True
    return declared, more


def _check(
    target: Callable[..., object], settings: Mapping[str, object], key: str, race_decides: Collection[str]
) -> None:
    """Hold keys and values against the parameters of a constructor; those that begin with _ are Hydra's own."""
    parameters, more = _parameters(target)
    given = {name: value for name, value in settings.items() if not name.startswith("_")}
    if not more:
        check_keys(given, [name for name in parameters if name not in race_decides], key)
    for name, value in given.items():
        if name not in parameters or (declared := parameters[name]) is inspect.Parameter.empty:
            continue
        if isinstance(value, Mapping) and "_target_" in value:  # a part of the part, which decides what stays open
            part_of_it = {str(its): given for its, given in value.items()}
            _check(_target(part_of_it, f"{key}.{name}"), part_of_it, f"{key}.{name}", ())
            continue
        try:
            TypeAdapter(declared, config=ConfigDict(arbitrary_types_allowed=True, strict=True)).validate_python(value)
        except ValidationError as error:
            expected = error.errors()[0]["msg"].removeprefix("Input should be ")
            shown = "null" if value is None else value
            raise ArenaError(f"{key}.{name}={shown}: expected {expected}") from error
