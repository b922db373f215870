"""A YAML file as a config: unknown keys refused, single keys changed by `key=value`; every error is one line."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from swe_rm.errors import SweRmError

_ENDS = (r"'\x00'", "'<stream end>'")
"""What PyYAML calls the end of a text."""
C = TypeVar("C", bound=BaseModel)


def load(kind: type[C], path: Path, overrides: Sequence[str], what: str) -> C:
    """Read a YAML file; each override is `key=value` or `key.sub=value`, the value in YAML.

    Raises SweRmError naming the file and key when something is unknown, missing or out of range.
    """
    values = content(path, what)
    for override in overrides:
        _override(values, override)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where, reason = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
        raise SweRmError(f"{path}: {where}{': ' if where else ''}{reason}") from None


def content(path: Path, what: str) -> dict[str, Any]:
    """The keys of a YAML file and their values. Raises SweRmError naming the file where it is no mapping."""
    try:
        found = _read(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SweRmError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SweRmError(f"{path}: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise SweRmError(f"{path}: {what} is a mapping of keys")
    return found


def parsed(override: str) -> tuple[str, Any]:
    """`key=value` as a dotted key and its value in YAML. Raises SweRmError."""
    key, equals, value = override.partition("=")
    if not equals:
        raise SweRmError(f"--set {override}: expected key=value")
    try:
        return key, _read(value)
    except yaml.YAMLError as error:
        wrong = getattr(error, "problem", None) or " ".join(str(error).split())
        for end in _ENDS:
            wrong = wrong.replace(end, "its end")
        raise SweRmError(f"--set {override}: {wrong}") from None


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested groups of keys. Raises SweRmError where one of them is no group."""
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise SweRmError(f"{key}: {parent} is not a group of keys")
    values[last] = value


def _read(text: str) -> Any:
    """YAML as values. Raises YAMLError where a key stands twice, which PyYAML lets pass."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _refuse_repeated(root)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_repeated(node: yaml.Node) -> None:
    if isinstance(node, yaml.MappingNode):
        seen: set[tuple[str, str]] = set()
        for key, value in node.value:
            name = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            if name:
                seen.add(name)
            _refuse_repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated(item)


def _override(values: dict[str, Any], override: str) -> None:
    key, value = parsed(override)
    try:
        put(values, key, value)
    except SweRmError as error:
        raise SweRmError(f"--set {override}: {str(error).partition(': ')[2]}") from None
