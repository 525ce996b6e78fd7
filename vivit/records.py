"""Frozen dataclasses ↔ JSON. `dataclasses.asdict` is the way there; this is the way back, and it takes nothing on trust."""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


def from_json(kind: type[T], value: Any) -> T:
    """Rebuild a value from JSON.

    Args:
        kind: a dataclass, whose fields' hints say the rest; or such a hint: a plain type, a tuple, a list, a dict with text
            for keys, a union, a literal, or `Any`.
        value: what `json.loads` returned for `asdict` of it; tuples may be lists, floats whole numbers.

    Raises:
        ValueError: for anything else, and for fields that are missing or unknown.
    """
    return cast(T, _rebuild(kind, value))


def _rebuild(kind: Any, value: Any) -> Any:
    if kind is Any:
        return value
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if not isinstance(value, dict) or (unknown := value.keys() - hints):
            raise ValueError(
                f"{_name(kind)} has no {', '.join(sorted(unknown)) if isinstance(value, dict) else value!r}"
            )
        try:
            return kind(**{name: _rebuild(hints[name], part) for name, part in value.items()})
        except TypeError as error:  # a field that is missing
            raise ValueError(str(error)) from error
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for part in parts:
            try:
                return _rebuild(part, value)
            except ValueError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        if parts[-1] is Ellipsis:
            return tuple(_rebuild(parts[0], item) for item in value)
        if len(parts) == len(value):
            return tuple(_rebuild(part, item) for part, item in zip(parts, value, strict=True))
    elif origin is list and isinstance(value, list):
        return [_rebuild(parts[0], item) for item in value]
    elif origin in (dict, Mapping) and isinstance(value, dict):
        return {_rebuild(parts[0], name): _rebuild(parts[1], item) for name, item in value.items()}
    elif origin is typing.Literal and value in parts:
        return value
    elif kind is float and type(value) is int and abs(value) < 2**1023:
        return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    raise ValueError(f"{value!r:.80} is no {_name(kind)}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _name(kind: Any) -> str:
    return getattr(kind, "__name__", str(kind))
