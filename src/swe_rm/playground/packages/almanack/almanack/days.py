"""A day of the Gregorian calendar."""

from collections.abc import Container, Iterator
from functools import total_ordering

LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def is_leap(year: int) -> bool:
    """Whether February has 29 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(year: int, month: int) -> int:
    """Days of a month."""
    return 29 if month == 2 and is_leap(year) else LENGTHS[month - 1]


@total_ordering
class Day:
    """A year, month and day of the month."""

    def __init__(self, year: int, month: int, day: int) -> None:
        if not 1 <= month <= 12:
            raise ValueError(f"no such month: {month}")
        if not 1 <= day <= days_in(year, month):
            raise ValueError(f"no such day: {day}")
        self.year, self.month, self.day = year, month, day

    @classmethod
    def parse(cls, text: str) -> "Day":
        """The day of a text such as ``2024-02-29`` or ``29.2.2024``."""
        if "-" in text:
            year, month, day = text.split("-")
        else:
            day, month, year = text.split(".")
        return cls(int(year), int(month), int(day))

    @classmethod
    def of_number(cls, number: int) -> "Day":
        """The day that is so many days after the first of March of the year 0."""
        era, left = divmod(number, 146097)
        year = (left - left // 1460 + left // 36524 - left // 146096) // 365
        left -= 365 * year + year // 4 - year // 100
        month = (5 * left + 2) // 153
        day = left - (153 * month + 2) // 5 + 1
        year += 400 * era
        return cls(year + 1, month - 9, day) if month >= 10 else cls(year, month + 3, day)

    @property
    def number(self) -> int:
        """Days since the first of March of the year 0."""
        year, month = (self.year, self.month - 3) if self.month > 2 else (self.year - 1, self.month + 9)
        return 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + self.day - 1

    def __repr__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}-{self.day:02d}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Day) and self.number == other.number

    def __lt__(self, other: "Day") -> bool:
        return self.number < other.number

    def __hash__(self) -> int:
        return hash(self.number)

    def __sub__(self, other: "Day") -> int:
        return self.number - other.number

    def plus(self, days: int = 0, months: int = 0) -> "Day":
        """A later day: months first, kept within the month, then days."""
        years, month = divmod(self.month - 1 + months, 12)
        year = self.year + years
        moved = Day(year, month + 1, min(self.day, days_in(year, month + 1)))
        return Day.of_number(moved.number + days)

    @property
    def weekday(self) -> int:
        """0 for Monday to 6 for Sunday."""
        return (self.number + 2) % 7

    @property
    def weekday_name(self) -> str:
        """The English name of the weekday."""
        return NAMES[self.weekday]

    @property
    def of_year(self) -> int:
        """The number of the day in its year, from 1."""
        return self - Day(self.year, 1, 1) + 1

    def week(self) -> tuple[int, int]:
        """Year and number of the week: weeks begin on Monday, and the first has the year's first Thursday."""
        thursday = self.plus(days=3 - self.weekday)
        return thursday.year, (thursday.of_year - 1) // 7 + 1

    def until(self, end: "Day") -> Iterator["Day"]:
        """The days from this one up to, not including, another."""
        for number in range(self.number, end.number):
            yield Day.of_number(number)

    def working_days(self, end: "Day", holidays: Container["Day"] = ()) -> int:
        """Days up to, not including, another that are no Saturday, Sunday or holiday."""
        return sum(day.weekday < 5 and day not in holidays for day in self.until(end))

    def after_working(self, count: int, holidays: Container["Day"] = ()) -> "Day":
        """The working day that is so many working days later."""
        day = self
        while count > 0:
            day = day.plus(days=1)
            if day.weekday < 5 and day not in holidays:
                count -= 1
        return day

    def age(self, today: "Day") -> int:
        """Full years on another day of one who was born on this."""
        before = (today.month, today.day) < (self.month, self.day)
        return today.year - self.year - before


def nth_weekday(year: int, month: int, weekday: int, nth: int) -> Day:
    """The first, second ... weekday of a month; counted from its end when `nth` is negative."""
    if nth == 0:
        raise ValueError("there is no zeroth weekday")
    if nth > 0:
        first = Day(year, month, 1)
        day = 1 + (weekday - first.weekday) % 7 + 7 * (nth - 1)
    else:
        last = Day(year, month, days_in(year, month))
        day = last.day - (last.weekday - weekday) % 7 + 7 * (nth + 1)
    return Day(year, month, day)
