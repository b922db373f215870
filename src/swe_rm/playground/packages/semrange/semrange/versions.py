"""A version: three numbers and what comes before a release."""

import re
from functools import total_ordering

PATTERN = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.]+))?(?:\+[0-9A-Za-z.]+)?")


@total_ordering
class Version:
    """A version such as ``1.4.0`` or ``2.0.0-rc.1``; what follows a plus does not count."""

    def __init__(self, text: str) -> None:
        found = PATTERN.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"not a version: {text}")
        self.numbers = tuple(int(part or 0) for part in found.groups()[:3])
        self.before = tuple((found[4] or "").split(".")) if found[4] else ()

    def __repr__(self) -> str:
        text = ".".join(str(number) for number in self.numbers)
        return text + ("-" + ".".join(self.before) if self.before else "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key() == other._key()

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    @property
    def is_release(self) -> bool:
        """Whether it is no early one."""
        return not self.before

    def _key(self) -> tuple:
        early = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in self.before)
        return (*self.numbers, self.is_release, early)

    def bumped(self, place: str) -> "Version":
        """The next version: ``major``, ``minor`` or ``patch`` is counted up and what is behind it starts anew."""
        places = ("major", "minor", "patch")
        if place not in places:
            raise ValueError(f"no such place: {place}")
        if place == "patch" and not self.is_release:
            return Version(".".join(str(number) for number in self.numbers))
        at = places.index(place)
        numbers = [*self.numbers[:at], self.numbers[at] + 1, *[0] * (2 - at)]
        return Version(".".join(str(number) for number in numbers))

    def distance(self, other: "Version") -> str:
        """The place of the first number that differs; ``early`` when only what is before the release does."""
        for name, mine, theirs in zip(("major", "minor", "patch"), self.numbers, other.numbers, strict=True):
            if mine != theirs:
                return name
        return "same" if self.before == other.before else "early"
