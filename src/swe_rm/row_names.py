"""How a row of a file names the attempt it is about: by id, by (instance_id, policy, attempt), or both."""

from collections.abc import Mapping, Sequence
from typing import Any

Key = tuple[str, str, str]
"""(instance_id, policy, attempt)."""

KEY_FIELDS = (("instance_id", "task_id"), ("policy",), ("attempt", "run"))
"""The parts of a key, each with the names it is accepted under."""


def names(row: Mapping[str, Any]) -> tuple[str | None, Key | None]:
    """The attempt id and the key that a row gives; None where it gives none, or not all of the key.

    Raises ValueError for a row that gives neither, two that differ under two names of one part, or a name that is no
    text.
    """
    attempt_id = _one(row, ("attempt_id",)) or None
    instance_id, policy, attempt = (_one(row, fields) for fields in KEY_FIELDS)
    key = None if instance_id is None or policy is None or attempt is None else (instance_id, policy, attempt)
    if attempt_id is None and key is None:
        raise ValueError("names no attempt: neither attempt_id nor all of instance_id, policy, attempt")
    return attempt_id, key


def _one(row: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    """The value under one of the accepted names; numbers are taken as text."""
    given = {field: row[field] for field in fields if row.get(field) is not None}
    for field, value in given.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError(f"{field}: not a string")
    values = {str(value) for value in given.values()}
    if len(values) > 1:
        raise ValueError(f"names two attempts: {' and '.join(given)} differ")
    return values.pop() if values else None
