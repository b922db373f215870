"""A set of whole numbers, kept as intervals that do not touch."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

Span = tuple[int, int]


class SpanSet:
    """Numbers from ``start`` up to, not including, ``end``, for any number of such spans."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans: list[Span] = []
        for start, end in sorted(spans):
            if start > end:
                raise ValueError(f"a span cannot end before it starts: {start}, {end}")
            if start == end:
                continue
            if self.spans and start <= self.spans[-1][1]:
                self.spans[-1] = (self.spans[-1][0], max(self.spans[-1][1], end))
            else:
                self.spans.append((start, end))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpanSet) and self.spans == other.spans

    def __hash__(self) -> int:
        return hash(tuple(self.spans))

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{start}..{end - 1}" for start, end in self.spans) + "}"

    def __len__(self) -> int:
        return sum(end - start for start, end in self.spans)

    def __iter__(self) -> Iterator[int]:
        for start, end in self.spans:
            yield from range(start, end)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.spans, number, key=lambda span: span[0]) - 1
        return at >= 0 and number < self.spans[at][1]

    def __or__(self, other: "SpanSet") -> "SpanSet":
        return SpanSet([*self.spans, *other.spans])

    def __and__(self, other: "SpanSet") -> "SpanSet":
        found = []
        mine, theirs = 0, 0
        while mine < len(self.spans) and theirs < len(other.spans):
            start = max(self.spans[mine][0], other.spans[theirs][0])
            end = min(self.spans[mine][1], other.spans[theirs][1])
            if start < end:
                found.append((start, end))
            if self.spans[mine][1] <= other.spans[theirs][1]:
                mine += 1
            else:
                theirs += 1
        return SpanSet(found)

    def __sub__(self, other: "SpanSet") -> "SpanSet":
        if not self.spans:
            return SpanSet()
        return self & other.gaps(self.spans[0][0], self.spans[-1][1])

    def gaps(self, low: int, high: int) -> "SpanSet":
        """What is not in the set, from low up to high."""
        found = []
        at = low
        for start, end in self.spans:
            if start >= high:
                break
            if start > at:
                found.append((at, start))
            at = max(at, end)
        if at < high:
            found.append((at, high))
        return SpanSet(found)

    def shifted(self, by: int) -> "SpanSet":
        """All numbers moved by so much."""
        return SpanSet((start + by, end + by) for start, end in self.spans)

    def longest(self) -> Span | None:
        """The longest span, the first one of several."""
        return max(self.spans, key=lambda span: (span[1] - span[0], -span[0]), default=None)

    def closed(self, most: int) -> "SpanSet":
        """The set with gaps of at most so many numbers filled."""
        found: list[Span] = []
        for start, end in self.spans:
            if found and start - found[-1][1] <= most:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        return SpanSet(found)
