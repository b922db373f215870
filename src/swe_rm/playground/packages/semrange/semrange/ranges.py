"""Ranges of versions, and the newest version in one."""

import re
from collections.abc import Iterable

from .versions import Version

CLAUSE = re.compile(r"(>=|<=|>|<|==|!=|\^|~)?\s*(\S+)")


class Range:
    """Clauses joined by commas, all of which must hold; alternatives are divided by ``||``."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.alternatives = [
            [clause for part in choice.split(",") if part.strip() for clause in bounds(part.strip())]
            for choice in text.split("||")
        ]

    def __contains__(self, version: Version) -> bool:
        return any(all(holds(version, sign, bound) for sign, bound in clauses) for clauses in self.alternatives)

    def __repr__(self) -> str:
        return f"Range({self.text!r})"


def bounds(clause: str) -> list[tuple[str, Version]]:
    """A clause as comparisons: ``^1.4`` is at least 1.4 and below 2."""
    if clause == "*":
        return []
    found = CLAUSE.fullmatch(clause)
    if found is None:
        raise ValueError(f"not a clause: {clause}")
    sign, text = found[1] or "==", found[2]
    if text.endswith(".*"):
        if sign not in ("==", "!="):
            raise ValueError(f"a star does not go with {sign}")
        low = Version(text[:-2])
        return [(">=", low), ("<", low.bumped("minor" if text.count(".") > 1 else "major"))]
    low = Version(text)
    if sign == "^":
        return [(">=", low), ("<", low.bumped(first_counting(low)))]
    if sign == "~":
        return [(">=", low), ("<", low.bumped("minor" if "." in text else "major"))]
    return [(sign, low)]


def first_counting(version: Version) -> str:
    """The first place whose number is not zero, which a caret holds fast."""
    major, minor, _ = version.numbers
    if major > 0:
        return "major"
    return "minor" if minor > 0 else "patch"


def holds(version: Version, sign: str, bound: Version) -> bool:
    """Whether one comparison holds."""
    if sign == ">=":
        return version >= bound
    if sign == "<=":
        return version <= bound
    if sign == ">":
        return version > bound
    if sign == "<":
        return version < bound
    return (version == bound) == (sign == "==")


def newest(versions: Iterable[str], wanted: str = "*", early: bool = False) -> str | None:
    """The newest version in a range, as it was written; early ones count if asked, or where nothing else fits."""
    inside = Range(wanted)
    found = [text for text in versions if Version(text) in inside]
    releases = [text for text in found if Version(text).is_release]
    if releases and not early:
        found = releases
    return max(found, key=Version) if found else None


def grouped(versions: Iterable[str]) -> dict[str, list[str]]:
    """Versions by their first two numbers, the newest of each group first."""
    groups: dict[str, list[str]] = {}
    for text in sorted(versions, key=Version, reverse=True):
        major, minor, _ = Version(text).numbers
        groups.setdefault(f"{major}.{minor}", []).append(text)
    return groups


def upgrades(current: str, versions: Iterable[str]) -> dict[str, str]:
    """The newest release above the current version for each kind of step it would be."""
    found: dict[str, str] = {}
    here = Version(current)
    for text in sorted(versions, key=Version):
        version = Version(text)
        if version <= here or not version.is_release:
            continue
        found[version.distance(here)] = text
    return found
