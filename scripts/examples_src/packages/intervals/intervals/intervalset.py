"""IntervalSet: the one class of this package."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Span = tuple[float, float]


class IntervalSet:
    """A set of numbers, kept as sorted, disjoint intervals ``[start, end)``.

    Intervals that touch are joined, so equal sets have equal spans.
    """

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans: list[Span] = []
        for start, end in spans:
            self.add(start, end)

    def add(self, start: float, end: float) -> None:
        """Put every number of ``[start, end)`` into the set."""
        _check(start, end)
        if start == end:
            return
        first = bisect_left(self._spans, start, key=_end)
        last = bisect_right(self._spans, end, key=_start)
        if first < last:
            start = min(start, self._spans[first][0])
            end = max(end, self._spans[last - 1][1])
        self._spans[first:last] = [(start, end)]

    def remove(self, start: float, end: float) -> None:
        """Take every number of ``[start, end)`` out of the set."""
        _check(start, end)
        kept: list[Span] = []
        for low, high in self._spans:
            if high <= start or low >= end:
                kept.append((low, high))
                continue
            if low < start:
                kept.append((low, start))
            if high > end:
                kept.append((end, high))
        self._spans = kept

    def union(self, other: "IntervalSet") -> "IntervalSet":
        """A new set with the numbers of both."""
        result = self.copy()
        for start, end in other:
            result.add(start, end)
        return result

    def intersection(self, other: "IntervalSet") -> "IntervalSet":
        """A new set with the numbers that are in both."""
        result = IntervalSet()
        for low, high in self:
            for start, end in other:
                if max(low, start) < min(high, end):
                    result.add(max(low, start), min(high, end))
        return result

    def gaps(self, start: float, end: float) -> list[Span]:
        """The parts of ``[start, end)`` that are not in the set, in order."""
        _check(start, end)
        found: list[Span] = []
        cursor = start
        for low, high in self._spans:
            if high <= start:
                continue
            if low >= end:
                break
            if low > cursor:
                found.append((cursor, low))
            cursor = high
        if cursor < end:
            found.append((cursor, end))
        return found

    def total(self) -> float:
        """The summed length of all intervals."""
        return sum(end - start for start, end in self._spans)

    def copy(self) -> "IntervalSet":
        """An independent copy."""
        result = IntervalSet()
        result._spans = list(self._spans)
        return result

    def __contains__(self, value: float) -> bool:
        index = bisect_right(self._spans, value, key=_start) - 1
        return index >= 0 and value < self._spans[index][1]

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __len__(self) -> int:
        return len(self._spans)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, IntervalSet):
            return NotImplemented
        return self._spans == other._spans

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"IntervalSet({self._spans})"


def _start(span: Span) -> float:
    return span[0]


def _end(span: Span) -> float:
    return span[1]


def _check(start: float, end: float) -> None:
    if start > end:
        raise ValueError(f"the interval ends before it starts: [{start}, {end})")
