"""Near-duplicates: texts that share most of their word 5-grams, found by MinHash sketches and verified pair by pair."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from math import ceil, sqrt
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm.errors import MissingExtraError, SweRmError

Hashes = npt.NDArray[np.uint64]
Sketches = npt.NDArray[np.uint16]
Places = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

SHINGLE_WORDS = 5
"""Words in a row that make one shingle; words are what `str.split` gives."""
SLOTS = 256
"""Minima a sketch keeps: the standard error of a Jaccard estimate is sqrt(J (1 - J) / 256), 0.025 at J = 0.8.
The low 16 bits of each are kept, which agree by chance once in 65,536: 400,000 sketches are 205 MB."""
MISSED = 1e-3
"""Share of pairs at the threshold that no band may bring together. At 0.8 that gives 36 bands of 7 (0.0002 missed);
64 x 4 would miss none and bring together seven times the pairs of J = 0.5, 32 x 8 would miss 0.003."""
LEADERS = 256
"""A bucket is compared with its first 256 attempts that are not yet of one cluster: time stays linear in a pile whose
members all share a template. Below that size every pair of a bucket is compared."""

_SEED = 1
_CHUNK = 8192
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
_ROUNDING = 1e-9


class Copy(NamedTuple):
    """An attempt whose text is nearly that of an earlier one."""

    ordinal: int
    of: int
    """The first attempt of its cluster in input order: the one that is kept."""
    jaccard: float
    """Of these two; below the threshold where other members of the cluster link them."""


# --- shingles and sketches -------------------------------------------------------------------------------------------


def shingles(text: str) -> Hashes:
    """The distinct 64-bit hashes of the text's word 5-grams, ascending; a shorter text is one shingle."""
    return np.unique(_shingles(text))


def jaccard(one: Hashes, other: Hashes) -> float:
    """Shared shingles over all shingles of two texts."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def sketch(text: str) -> bytes:
    """512 bytes that stand for the shingles of a text. Equal texts have equal sketches.

    Raises MissingExtraError without rensa.
    """
    hashes = _shingles(text)
    ends = np.array([0, len(hashes)], np.uint64)
    digest = _rensa().digest_matrix_from_flat_token_hashes(hashes, ends, num_perm=SLOTS, seed=_SEED)
    return np.array(digest.to_rows()[0], np.uint32).astype("<u2").tobytes()


def similarity(one: bytes, other: bytes) -> float:
    """The Jaccard similarity of two texts as their sketches estimate it."""
    return float((np.frombuffer(one, "<u2") == np.frombuffer(other, "<u2")).mean())


def _shingles(text: str) -> Hashes:
    words = np.array(_rensa().hash_token_sets([text.split()])[0], np.uint64)
    words = np.pad(words, (0, max(0, SHINGLE_WORDS - len(words))))
    found = np.zeros(len(words) - SHINGLE_WORDS + 1, np.uint64)
    for place in range(SHINGLE_WORDS):
        found ^= words[place : place + len(found)]
        found *= _MIX
        found ^= found >> _SHIFT
    return found


def _rensa() -> Any:
    try:
        import rensa
    except ImportError:
        raise MissingExtraError("rensa", "data") from None
    return rensa.RMinHash


# --- clusters --------------------------------------------------------------------------------------------------------


def bands(threshold: float) -> tuple[int, int]:
    """(bands, slots a band): the longest bands that still bring together all but MISSED of the pairs at the threshold.

    A pair of similarity J shares one of b bands of r slots with probability 1 - (1 - J^r)^b.
    """
    fitting = [r for r in range(1, SLOTS + 1) if (1 - threshold**r) ** (SLOTS // r) <= MISSED]
    longest = max(fitting, default=1)
    return SLOTS // longest, longest


def near_duplicates(
    sketches: Sequence[bytes] | Sketches,
    groups: Sequence[Hashable] | None = None,
    threshold: float = 0.8,
    text: Callable[[int], str] | None = None,
) -> list[Copy]:
    """Every attempt that is not the first of its cluster, ascending, with that first one.

    Two attempts of one group (any two without `groups`) are linked when their similarity reaches the threshold; a
    cluster is what links hold together. So the clusters do not depend on the order of the input, only which member is
    first does. `sketches` may be one array [attempts, 256]. With `text` (the text of an ordinal) similarity is exact.
    Without it the sketches estimate it and a pair counts from two standard errors below the threshold (0.75 for 0.8):
    of the pairs exactly at the threshold 2 % are missed, and pairs just below it are taken too.

    Raises SweRmError when the threshold is not in (0, 1].
    """
    if not 0 < threshold <= 1:
        raise SweRmError(f"near-duplicates: threshold {threshold} is not above 0 and at most 1")
    table = _table(sketches)
    judge = _Judge(table, _codes(groups, len(table)), threshold, text)
    clusters = _Clusters(len(table))
    n_bands, width = bands(threshold)
    for start in range(0, n_bands * width, width):
        keys = _keys(table[:, start : start + width], judge.groups)
        for left, right in _meetings(keys, clusters):
            for one, other in judge.linked(left, right, start, width):
                if clusters.apart(one, other) and judge.sure(one, other):
                    clusters.join(one, other)
    roots = clusters.roots(np.arange(len(table)))
    copies = np.flatnonzero(roots != np.arange(len(table)))
    return [Copy(int(at), int(roots[at]), judge.measure(int(at), int(roots[at]))) for at in copies]


class _Clusters:
    """Disjoint sets of attempts; the root of each is its first member."""

    def __init__(self, size: int) -> None:
        self._parents: Places = np.arange(size)

    def roots(self, members: Places) -> Places:
        """The first member of each one's cluster. Shapes (n,) -> (n,)."""
        roots = self._parents[members]
        while not np.array_equal(above := self._parents[roots], roots):
            roots = above
        self._parents[members] = roots
        return roots

    def apart(self, one: int, other: int) -> bool:
        """Whether two attempts are of different clusters so far."""
        return self._root(one) != self._root(other)

    def join(self, one: int, other: int) -> None:
        """Make one cluster of two."""
        first, second = sorted((self._root(one), self._root(other)))
        self._parents[second] = first

    def _root(self, member: int) -> int:
        while (above := int(self._parents[member])) != member:
            member = above
        return member


class _Judge:
    """Says of pairs whether they are near."""

    def __init__(self, table: Sketches, groups: Places, threshold: float, text: Callable[[int], str] | None) -> None:
        self.table = table
        self.groups = groups
        self._threshold = threshold
        self._exact = text is not None
        error = sqrt(threshold * (1 - threshold) / SLOTS)
        self._least = ceil(SLOTS * (threshold - (4 if self._exact else 2) * error) - _ROUNDING)
        self._shingles = lru_cache(maxsize=LEADERS)(lambda ordinal: shingles(text(ordinal) if text else ""))

    def linked(self, left: Places, right: Places, start: int, width: int) -> Iterator[tuple[int, int]]:
        """Those pairs whose sketches agree enough; pairs that met in an earlier band were judged there."""
        for at in range(0, len(left), _CHUNK):
            one, other = left[at : at + _CHUNK], right[at : at + _CHUNK]
            equal = self.table[one] == self.table[other]
            met = equal[:, :start].reshape(len(one), start // width, width).all(axis=2).any(axis=1)
            near = ~met & (equal.sum(axis=1) >= self._least) & (self.groups[one] == self.groups[other])
            yield from zip(one[near].tolist(), other[near].tolist(), strict=True)

    def sure(self, one: int, other: int) -> bool:
        """Whether a pair whose sketches agree enough is near: by its texts, where they are at hand."""
        return not self._exact or self.measure(one, other) >= self._threshold

    def measure(self, one: int, other: int) -> float:
        """The similarity of two attempts, exact where texts are at hand."""
        if self._exact:
            return jaccard(self._shingles(one), self._shingles(other))
        return float((self.table[one] == self.table[other]).mean())


def _table(sketches: Sequence[bytes] | Sketches) -> Sketches:
    if isinstance(sketches, np.ndarray):
        return sketches
    return np.frombuffer(b"".join(sketches), "<u2").reshape(-1, SLOTS)


def _codes(groups: Sequence[Hashable] | None, size: int) -> Places:
    seen: dict[Hashable, int] = {}
    named: Sequence[Hashable] = groups if groups is not None else [None] * size
    if len(named) != size:
        raise ValueError(f"{size} sketches and {len(named)} groups")
    return np.array([seen.setdefault(group, len(seen)) for group in named], np.intp)


def _keys(columns: Sketches, groups: Places) -> Hashes:
    """One 64-bit key for each attempt's slots of a band and its group; where unequal ones collide, a pair is judged."""
    keys = groups.astype(np.uint64) * _MIX
    for column in columns.T:
        keys ^= column.astype(np.uint64)
        keys *= _MIX
        keys ^= keys >> _SHIFT
    return keys


def _meetings(keys: Hashes, clusters: _Clusters) -> Iterator[tuple[Places, Places]]:
    """Pairs with equal keys that are not of one cluster yet: each bucket's first member with the others, and so on."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=~keys[order[:1]]))
    sizes = np.diff(starts, append=len(keys))
    for rank in range(LEADERS):
        open_ = sizes > rank + 1
        starts, sizes = starts[open_], sizes[open_]
        if not len(starts):
            return
        rest = sizes - rank - 1
        left = np.repeat(order[starts + rank], rest)
        offsets = np.cumsum(rest) - rest
        right = order[np.arange(len(left)) + np.repeat(starts + rank + 1 - offsets, rest)]
        apart: Flags = clusters.roots(left) != clusters.roots(right)
        unsettled = np.logical_or.reduceat(apart, offsets)
        yield left[apart], right[apart]
        starts, sizes = starts[unsettled], sizes[unsettled]
