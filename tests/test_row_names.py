"""How rows name attempts: each accepted spelling, and what is said of a row that names none or two."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm.row_names import KEY_FIELDS, names

KEY = {"instance_id": "dye-1", "policy": "mill", "attempt": "0"}


@given(
    spellings=st.tuples(*(st.sampled_from(fields) for fields in KEY_FIELDS)),
    values=st.tuples(*(st.text(min_size=1, max_size=5) | st.integers() for _ in KEY_FIELDS)),
    attempt_id=st.none() | st.text(min_size=1, max_size=5),
)
def test_every_spelling_of_a_name_is_read(
    spellings: tuple[str, ...], values: tuple[str | int, ...], attempt_id: str | None
) -> None:
    row: dict[str, Any] = dict(zip(spellings, values, strict=True)) | {"attempt_id": attempt_id, "colour": 1}
    assert names(row) == (attempt_id, tuple(map(str, values)))


def test_a_key_that_is_not_whole_is_none() -> None:
    assert names({"attempt_id": "a", "instance_id": "dye-1"}) == ("a", None)
    assert names(KEY | {"attempt_id": ""}) == (None, ("dye-1", "mill", "0"))
    assert names(KEY | {"task_id": "dye-1", "run": 0})[1] == ("dye-1", "mill", "0")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "names no attempt: neither attempt_id nor all of instance_id, policy, attempt"),
        ({"instance_id": "dye-1", "policy": "mill"}, "names no attempt"),
        ({"attempt_id": None, **KEY, "policy": None}, "names no attempt"),
        (KEY | {"task_id": "dye-2"}, "names two attempts: instance_id and task_id differ"),
        (KEY | {"run": "1"}, "names two attempts: attempt and run differ"),
        (KEY | {"policy": ["mill"]}, "policy: not a string"),
        ({"attempt_id": True}, "attempt_id: not a string"),
    ],
)
def test_a_row_that_names_none_or_two_is_refused(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        names(row)
