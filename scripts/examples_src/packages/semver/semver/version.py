"""Version: parsed, ordered, written back."""

import re
from dataclasses import dataclass
from functools import total_ordering

_NUMBER = r"0|[1-9]\d*"
_WORDS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_WORDS}))?(?:\+({_WORDS}))?"
)


class VersionError(ValueError):
    """The text is not a version or a range."""


@total_ordering
@dataclass(frozen=True, eq=False)
class Version:
    """One version. Build metadata takes no part in order or equality."""

    major: int
    minor: int = 0
    patch: int = 0
    prerelease: tuple[str, ...] = ()
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> "Version":
        """The version in ``text``; raises VersionError."""
        match = _VERSION.fullmatch(text.strip())
        if match is None:
            raise VersionError(f"not a version: {text!r}")
        major, minor, patch, prerelease, build = match.groups()
        words = tuple(prerelease.split(".")) if prerelease else ()
        return cls(int(major), int(minor), int(patch), words, build or "")

    def bump(self, part: str) -> "Version":
        """The next version: ``part`` is major, minor or patch."""
        if part == "major":
            return Version(self.major + 1)
        if part == "minor":
            return Version(self.major, self.minor + 1)
        if part == "patch":
            if self.prerelease:
                return Version(self.major, self.minor, self.patch)
            return Version(self.major, self.minor, self.patch + 1)
        raise ValueError(f"no such part: {part!r}")

    @property
    def core(self) -> tuple[int, int, int]:
        """The three numbers."""
        return self.major, self.minor, self.patch

    def _key(self) -> tuple:
        if not self.prerelease:
            return self.core, 1, ()
        return self.core, 0, tuple(_identifier_key(word) for word in self.prerelease)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        return self._key() == other._key()

    def __lt__(self, other: "Version") -> bool:
        return self._key() < other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        text = ".".join(map(str, self.core))
        if self.prerelease:
            text += "-" + ".".join(self.prerelease)
        return text + (f"+{self.build}" if self.build else "")


def _identifier_key(word: str) -> tuple[int, int, str]:
    if word.isdigit():
        return 0, int(word), ""
    return 1, 0, word
