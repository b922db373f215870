"""Weights by glob pattern: to which cell of sources, policies and repos an attempt belongs, and shares of a number."""

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from math import floor
from typing import NamedTuple, TypeVar

from swe_rm.errors import SweRmError
from swe_rm.mix.config import Sample
from swe_rm.mix.facts import Facts


class CellName(NamedTuple):
    """The patterns of a cell; empty where there are no weights."""

    source: str = ""
    policy: str = ""
    repo: str = ""

    def __str__(self) -> str:
        told = (self.source, self.policy, self.repo) if self.repo else (self.source, self.policy)
        return " / ".join(pattern or "*" for pattern in told)


K = TypeVar("K", str, CellName)

_NAMES = 8
"""Names an error lists."""


def cell_of(sample: Sample, row: Facts) -> CellName | None:
    """The first patterns that match; None where none does."""
    source, policy = _pattern(sample.sources, row.source), _pattern(sample.policies, row.policy)
    repo = _pattern(sample.repos, row.repo)
    return None if source is None or policy is None or repo is None else CellName(source, policy, repo)


def _pattern(weights: Mapping[str, float], name: str) -> str | None:
    return next((pattern for pattern in weights if fnmatchcase(name, pattern)), None) if weights else ""


def weight_of(sample: Sample, cell: CellName) -> float:
    """The product of a cell's weights."""
    source, policy = sample.sources.get(cell.source, 1.0), sample.policies.get(cell.policy, 1.0)
    return source * policy * sample.repos.get(cell.repo, 1.0)


def check_patterns(sample: Sample, read: Sequence[Facts]) -> None:
    """Raises SweRmError when a pattern matches nothing that was read."""
    for key, weights, there in _named(sample, read):
        for pattern in weights:
            if not any(fnmatchcase(name, pattern) for name in there):
                names = ", ".join(sorted(there)[:_NAMES]) + (", ..." if len(there) > _NAMES else "")
                raise SweRmError(f"sample.{key}: {pattern}: matches none of the {key} there are ({names})")


def check_left(sample: Sample, table: Sequence[Facts], left: Sequence[Facts]) -> None:
    """Raises SweRmError when nothing of a part that may be drawn is left to a pattern that has weight."""
    clean = {key: there for key, _, there in _named(sample, left)}
    for key, weights, there in _named(sample, table):
        for pattern, weight in weights.items():
            if weight and not any(_pattern(weights, name) == pattern for name in clean[key]):
                n_read = sum(n for name, n in there.items() if _pattern(weights, name) == pattern)
                raise SweRmError(
                    f"sample.{key}: {pattern}: nothing can be drawn, of {n_read:,} clean attempts none is left to it"
                )


def _named(sample: Sample, table: Sequence[Facts]) -> list[tuple[str, Mapping[str, float], Counter[str]]]:
    """(key of the config, its weights, names in the table), for each key."""
    sources, policies = Counter(row.source for row in table), Counter(row.policy for row in table)
    repos = Counter(row.repo for row in table)
    named = [("sources", sample.sources, sources), ("policies", sample.policies, policies)]
    return [*named, ("repos", sample.repos, repos)]


def shares(total: int, weights: Mapping[K, Fraction], there: Mapping[K, int]) -> dict[K, int]:
    """A total shared out by weight; what is beyond one's stock goes to the others. There must be enough."""
    given = dict.fromkeys(weights, 0)
    open_ = [name for name in weights if there[name]]
    left = total
    while open_:
        whole = sum((weights[name] for name in open_), Fraction())
        full = [name for name in open_ if there[name] <= left * weights[name] / whole]
        if not full:
            break
        given |= {name: there[name] for name in full}
        left -= sum(there[name] for name in full)
        open_ = [name for name in open_ if name not in full]
    exact = {name: left * weights[name] / whole for name in open_}
    given |= {name: floor(share) for name, share in exact.items()}
    rest = left - sum(floor(share) for share in exact.values())
    for name in sorted(open_, key=lambda name: (floor(exact[name]) - exact[name], name))[:rest]:
        given[name] += 1
    return given
