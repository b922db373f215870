"""Resolved attempts per unresolved one: how many of each a ratio allows."""

from fractions import Fraction
from math import floor


def exactly(ratio: float) -> Fraction:
    """The ratio as it is written."""
    return Fraction(repr(ratio))


def at_ratio(resolved: int, unresolved: int, ratio: float) -> tuple[int, int]:
    """The most (resolved, unresolved) attempts in that ratio, the resolved rounded down; (0, 0) where there is none."""
    negatives = min(unresolved, floor(resolved / exactly(ratio)))
    positives = floor(negatives * exactly(ratio))
    return (positives, negatives) if positives and negatives else (0, 0)


def in_units(resolved: int, unresolved: int, ratio: float) -> tuple[int, int]:
    """The most (resolved, unresolved) attempts in exactly that ratio; (0, 0) where there is none."""
    positives, negatives = exactly(ratio).as_integer_ratio()
    units = min(resolved // positives, unresolved // negatives)
    return units * positives, units * negatives


def unit(ratio: float) -> int:
    """The fewest attempts in exactly that ratio."""
    return sum(exactly(ratio).as_integer_ratio())


def parted(total: int, ratio: float) -> tuple[int, int]:
    """A total as (resolved, unresolved), rounded."""
    negatives = floor(total / (1 + exactly(ratio)) + Fraction(1, 2))
    return total - negatives, negatives


def parted_within(total: int, ratio: float, resolved: int, unresolved: int, chance: Fraction) -> tuple[int, int]:
    """At most a total of what is there, as near the ratio as that allows; `chance` in [0, 1) decides the rounding."""
    total = min(total, resolved + unresolved)
    positives = floor(total * exactly(ratio) / (1 + exactly(ratio)) + chance)
    positives = max(min(positives, resolved, total), total - unresolved)
    return positives, total - positives
