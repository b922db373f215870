"""Typed access to parsed JSON: a field of the wrong shape is a ValueError that names it, never a crash later."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson


def text(value: Any, what: str) -> str:
    """A string; None is "". Raises ValueError for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"{what} is {_kind(value)}, not text")
    return value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """An object; None is {}. Raises ValueError for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{what} is {_kind(value)}, not an object")
    return value


def sequence(value: Any, what: str) -> Sequence[Any]:
    """A list; None is []. Raises ValueError for anything else."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{what} is {_kind(value)}, not a list")
    return value


def flag(value: Any, what: str) -> bool | None:
    """A boolean (the numbers 0 and 1 count) or None. Raises ValueError for anything else."""
    if value is None or isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise ValueError(f"{what} is {_kind(value)}, not true, false or null")


def json_text(value: Any, what: str) -> str:
    """Compact JSON text of a parsed value. Raises ValueError when it is nested deeper than can be written again."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        raise ValueError(f"{what} is nested too deeply") from None


def first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    """The first of the named fields that is there and not null, else None."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}
    return names.get(type(value), "a number") if value is not None else "null"
