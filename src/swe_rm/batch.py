"""Sequences laid into rows under a token budget, without padding."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Tokens = Sequence[int] | npt.NDArray[np.int32]
"""The token ids of one sequence."""


class Span(NamedTuple):
    """Tokens of a row that see each other causally: a sequence, a part that sequences share, or what one adds to it."""

    start: int
    end: int
    past: tuple[tuple[int, int], ...] = ()
    """The (start, end) of earlier runs of the row that all of them see whole; none for a sequence of its own."""


class Part(NamedTuple):
    """A span before it is laid into a row."""

    tokens: Tokens
    past: tuple[tuple[int, int], ...] = ()
    """As in `Span`: together the beginning of a sequence, so the positions go on after their length."""
    member: int | None = None
    """The sequence that ends with it, if one does."""


class Row(NamedTuple):
    """Sequences one after the other, as one row of a model's input."""

    members: tuple[int, ...]
    """Which sequences, by their index in the caller's list."""
    token_ids: npt.NDArray[np.int64]
    """[tokens]"""
    position_ids: npt.NDArray[np.int64]
    """[tokens]; they restart at 0 with each sequence."""
    ends: list[int]
    """Where each sequence ends (exclusive), ascending; the last is the length of the row."""
    parts: tuple[Span, ...] = ()
    """What the row is made of, where sequences share tokens; empty where each stands for itself."""

    @property
    def spans(self) -> tuple[Span, ...]:
        """The row as spans, in order and without gaps."""
        return self.parts or tuple(map(Span, [0, *self.ends[:-1]], self.ends))


def rows(sequences: Sequence[Tokens], order: Sequence[int], budget: int) -> Iterator[Row]:
    """Pack the sequences named by `order`, in that order, into rows of at most `budget` tokens. See `in_order`."""
    lengths = [len(sequence) for sequence in sequences]
    for members in in_order(lengths, order, budget):
        yield row(members, [sequences[index] for index in members])


def by_length(sequences: Sequence[Tokens]) -> list[int]:
    """Indices, longest first; equal lengths keep their order. The first row then shows whether memory suffices."""
    return sorted(range(len(sequences)), key=lambda index: -len(sequences[index]))


def in_order(lengths: Sequence[int], order: Sequence[int], budget: int) -> Iterator[tuple[int, ...]]:
    """Members of rows of at most `budget` tokens that hold the sequences named by `order`, in that order.

    A sequence longer than the budget gets a row of its own. Every member of `order` comes out exactly once.

    Raises ValueError on an empty sequence: it has no last token to judge at.
    """
    members: list[int] = []
    size = 0
    for index in order:
        length = _length(lengths, index)
        if members and size + length > budget:
            yield tuple(members)
            members, size = [], 0
        members.append(index)
        size += length
    if members:
        yield tuple(members)


def best_fit(lengths: Sequence[int], order: Sequence[int], budget: int) -> list[tuple[int, ...]]:
    """Members of as few rows of at most `budget` tokens as best-fit decreasing finds, in any order.

    Each sequence, longest first (equal lengths as `order` has them), goes where the least room is left that holds it,
    or into a row of its own. At most 11/9 of the fewest rows possible and a constant (Johnson, 1974).

    Raises ValueError on an empty sequence.
    """
    packed: list[list[int]] = []
    free: list[int] = []  # room * rows + row, ascending: one search finds the least room and its oldest row
    shift = len(order) + 1
    for index in sorted(order, key=lambda index: -_length(lengths, index)):
        length = lengths[index]
        place = bisect_left(free, length * shift)
        if place < len(free):
            room, number = divmod(free.pop(place), shift)
            packed[number].append(index)
        else:
            room, number = budget, len(packed)
            packed.append([index])
        if room > length:
            insort(free, (room - length) * shift + number)
    return [tuple(members) for members in packed]


def row(members: Sequence[int], chosen: Sequence[Tokens]) -> Row:
    """The row of these sequences, which the caller knows as `members`."""
    arrays = [np.asarray(sequence, dtype=np.int64) for sequence in chosen]
    positions = [np.arange(len(array)) for array in arrays]
    ends = np.cumsum([len(array) for array in arrays])
    return Row(tuple(members), np.concatenate(arrays), np.concatenate(positions), ends.tolist())


def lay(parts: Sequence[Part]) -> Row:
    """The row of these parts, in this order; a part's past must lie before it."""
    arrays = [np.asarray(part.tokens, dtype=np.int64) for part in parts]
    before = [sum(end - start for start, end in part.past) for part in parts]
    positions = [np.arange(len(array)) + seen for seen, array in zip(before, arrays, strict=True)]
    ends = np.cumsum([len(array) for array in arrays]).tolist()
    spans = [Span(end - len(array), end, part.past) for part, array, end in zip(parts, arrays, ends, strict=True)]
    members = [(part.member, end) for part, end in zip(parts, ends, strict=True) if part.member is not None]
    return Row(
        tuple(member for member, _ in members),
        np.concatenate(arrays),
        np.concatenate(positions),
        [end for _, end in members],
        tuple(spans),
    )


def _length(lengths: Sequence[int], index: int) -> int:
    if not lengths[index]:
        raise ValueError(f"sequence {index} is empty")
    return lengths[index]
