"""Bookings of a room: minutes of a day, with a break between two of them."""

from .spans import Span, SpanSet

DAY = 24 * 60


def minutes(text: str) -> int:
    """The minute of the day of a text such as ``09:30``; ``24:00`` is the end of the day."""
    hours, colon, rest = text.partition(":")
    if not colon or not hours.isdigit() or not rest.isdigit() or len(rest) != 2:
        raise ValueError(f"not a time: {text}")
    found = int(hours) * 60 + int(rest)
    if int(rest) > 59 or found > DAY:
        raise ValueError(f"no such time: {text}")
    return found


def clock(minute: int) -> str:
    """The text of a minute of the day."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


class Calendar:
    """One day of one room, open from some minute to another."""

    def __init__(self, opens: str = "08:00", closes: str = "18:00", pause: int = 0) -> None:
        self.opens = minutes(opens)
        self.closes = minutes(closes)
        self.pause = pause
        self.bookings: dict[str, Span] = {}

    def book(self, who: str, start: str, end: str) -> None:
        """Book the room; refused when it is closed, taken, or too close to another booking."""
        first, last = minutes(start), minutes(end)
        if first >= last:
            raise ValueError("a booking ends after it starts")
        if first < self.opens or last > self.closes:
            raise ValueError("the room is closed")
        if who in self.bookings:
            raise ValueError(f"{who} has a booking")
        for other, (begin, stop) in self.bookings.items():
            if first < stop + self.pause and begin < last + self.pause:
                raise ValueError(f"too close to {other}")
        self.bookings[who] = (first, last)

    def cancel(self, who: str) -> bool:
        """Take a booking back; whether there was one."""
        return self.bookings.pop(who, None) is not None

    def free(self, length: int) -> list[str]:
        """When a booking of so many minutes could start, at the earliest, in each gap."""
        taken = SpanSet((start - self.pause, end + self.pause) for start, end in self.bookings.values())
        gaps = taken.gaps(self.opens, self.closes)
        return [clock(start) for start, end in gaps.spans if end - start >= length]

    def busy(self) -> float:
        """The share of the open time that is booked."""
        booked = sum(end - start for start, end in self.bookings.values())
        return booked / (self.closes - self.opens)

    def plan(self) -> list[str]:
        """The day's bookings, the earliest first."""
        ordered = sorted(self.bookings.items(), key=lambda item: item[1])
        return [f"{clock(start)}-{clock(end)} {who}" for who, (start, end) in ordered]

    def next_after(self, time: str) -> str | None:
        """Who comes first at a time or after it."""
        later = [(start, who) for who, (start, _) in self.bookings.items() if start >= minutes(time)]
        return min(later)[1] if later else None
