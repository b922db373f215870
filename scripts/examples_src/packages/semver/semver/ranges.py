"""Ranges: does a version satisfy ``^1.2.3``, ``~1.2.3`` or ``>=1.0.0 <2.0.0``?"""

import operator
import re

from .version import Version, VersionError

_COMPARISONS = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
}
_TERM = re.compile(r"\s*(\^|~|>=|<=|>|<|=)?\s*(\S+)")


def satisfies(version: "Version | str", constraint: str) -> bool:
    """True if ``version`` lies in ``constraint``: ``||`` is or, a space is and."""
    if isinstance(version, str):
        version = Version.parse(version)
    return any(_all_terms(version, option) for option in constraint.split("||"))


def _all_terms(version: Version, option: str) -> bool:
    terms = _TERM.findall(option)
    if not terms:
        raise VersionError("the range is empty")
    return all(_one_term(version, sign or "=", text) for sign, text in terms)


def _one_term(version: Version, sign: str, text: str) -> bool:
    bound = Version.parse(text)
    if sign in _COMPARISONS:
        return _COMPARISONS[sign](version, bound)
    upper = _caret_upper(bound) if sign == "^" else bound.bump("minor")
    return bound <= version and version.core < upper.core


def _caret_upper(bound: Version) -> Version:
    if bound.major:
        return Version(bound.major + 1)
    if bound.minor:
        return Version(0, bound.minor + 1)
    return Version(0, 0, bound.patch + 1)
