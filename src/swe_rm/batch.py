"""Sequences laid into rows under a token budget, without padding."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """Sequences one after the other, as one row of a model's input."""

    members: tuple[int, ...]
    """Which sequences, by their index in the caller's list."""
    token_ids: list[int]
    position_ids: list[int]
    """Restart at 0 with each sequence."""
    ends: list[int]
    """Where each sequence ends (exclusive), ascending; the last is the length of the row."""


def rows(sequences: Sequence[Sequence[int]], order: Sequence[int], budget: int) -> Iterator[Row]:
    """Pack the sequences named by `order`, in that order, into rows of at most `budget` tokens.

    A sequence longer than the budget gets a row of its own. Every member of `order` comes out exactly once.

    Raises ValueError on an empty sequence: it has no last token to judge at.
    """
    members: list[int] = []
    size = 0
    for index in order:
        length = len(sequences[index])
        if not length:
            raise ValueError(f"sequence {index} is empty")
        if members and size + length > budget:
            yield _row(sequences, members)
            members, size = [], 0
        members.append(index)
        size += length
    if members:
        yield _row(sequences, members)


def by_length(sequences: Sequence[Sequence[int]]) -> list[int]:
    """Indices, longest first; equal lengths keep their order. The first row then shows whether memory suffices."""
    return sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))


def _row(sequences: Sequence[Sequence[int]], members: Sequence[int]) -> Row:
    token_ids: list[int] = []
    position_ids: list[int] = []
    ends: list[int] = []
    for index in members:
        token_ids.extend(sequences[index])
        position_ids.extend(range(len(sequences[index])))
        ends.append(len(token_ids))
    return Row(tuple(members), token_ids, position_ids, ends)
