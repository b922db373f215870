"""Which sequences are read together: candidates of one task share the tokens they begin with, where that pays.

A tree is a shared beginning, read once, and what each member adds to it; members that share more are branches of it. A
sequence that shares nothing is a tree of its own. Rows are made of whole trees, longest first, under a token budget.
"""

import sys
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from swe_rm import batch

LEAST_GAIN = 1.25
"""Work saved, by `gain`, from which on a tree is made.

Measured beside what `gain` foretold (4 layers of 256 on one core): foretold 1.07, 1.09, 1.20 gave 0.93, 0.98, 1.09;
1.27, 1.28, 1.34, 1.35 gave 1.04, 1.25, 1.22, 1.30; 1.63, 2.04, 2.57 gave 1.31, 2.01, 2.55.
"""
TREE_ROWS = 4
"""A row that shares may be so many times longer: cut short, it would read its beginning again and again."""


class Tree(NamedTuple):
    """Sequences that begin alike."""

    own: tuple[int, ...]
    """Those that go on alone from here, by their index in the caller's list."""
    shared: int = 0
    """How many tokens all of them begin with and are read once; each adds at least one of its own."""
    branches: tuple["Tree", ...] = ()
    """Those that share more; their `shared` counts from the first token too."""

    @property
    def members(self) -> tuple[int, ...]:
        """All sequences, in the order in which a row holds them."""
        return self.own + tuple(index for branch in self.branches for index in branch.members)

    def tokens(self, sequences: Sequence[batch.Tokens], above: int = 0) -> int:
        """Tokens to read after the first `above`."""
        below = sum(branch.tokens(sequences, self.shared) for branch in self.branches)
        return self.shared - above + sum(len(sequences[index]) - self.shared for index in self.own) + below


def rows(
    sequences: Sequence[batch.Tokens],
    budget: int,
    *,
    groups: Sequence[Hashable] | None = None,
    crossover: float = float("inf"),
) -> Iterator[tuple[Tree, ...]]:
    """The trees of each row of at most `budget` tokens, longest first.

    One longer sequence has a row of its own; a tree may have TREE_ROWS times as much. `groups` names the task of each
    sequence; without it nothing is shared. `crossover` is told to `gain`. Raises ValueError on an empty sequence.
    """
    found = list(_trees(sequences, groups, budget, crossover))
    longest = [max(len(sequences[index]) for index in tree.members) for tree in found]
    order = sorted(range(len(found)), key=lambda at: -longest[at])
    for members in batch.in_order([tree.tokens(sequences) for tree in found], order, budget):
        yield tuple(found[at] for at in members)


def row(trees: Sequence[Tree], sequences: Sequence[batch.Tokens]) -> batch.Row:
    """The row of these trees."""
    parts: list[batch.Part] = []
    size = 0
    for tree in trees:
        parts += _parts(tree, sequences, (), size)
        size += tree.tokens(sequences)
    return batch.lay(parts)


def _parts(
    tree: Tree, sequences: Sequence[batch.Tokens], past: tuple[tuple[int, int], ...], size: int
) -> Iterator[batch.Part]:
    """A tree laid out after the first `size` tokens of a row; `past` is what the trees above it have read."""
    above = sum(end - start for start, end in past)
    if tree.shared > above:
        yield batch.Part(sequences[tree.members[0]][above : tree.shared], past)
        past = (*past, (size, size + tree.shared - above))
        size += tree.shared - above
    for index in tree.own:
        yield batch.Part(sequences[index][tree.shared :], past, index)
        size += len(sequences[index]) - tree.shared
    for branch in tree.branches:
        yield from _parts(branch, sequences, past, size)
        size += branch.tokens(sequences, tree.shared)


def halves(trees: Sequence[Tree]) -> tuple[tuple[Tree, ...], tuple[Tree, ...]]:
    """A row of more than one sequence as two rows; one tree is cut through its members."""
    if len(trees) > 1:
        middle = len(trees) // 2
        return tuple(trees[:middle]), tuple(trees[middle:])
    (tree,) = trees
    middle = len(tree.members) // 2
    return (_only(tree, {*tree.members[:middle]}),), (_only(tree, {*tree.members[middle:]}),)


def _only(tree: Tree, kept: Collection[int]) -> Tree:
    """A tree without its other members; what one of them alone begins with is shared no more."""
    own = [index for index in tree.own if index in kept]
    branches = []
    for branch in tree.branches:
        rest = [index for index in branch.members if index in kept]
        if len(rest) == 1:
            own += rest
        elif rest:
            branches.append(_only(branch, kept))
    if not own and len(branches) == 1:
        return branches[0]
    return Tree(tuple(own), tree.shared if len(own) + len(branches) > 1 else 0, tuple(branches))


def alike(first: batch.Tokens, second: batch.Tokens) -> int:
    """How many tokens two sequences begin with alike, one less than the shorter at most."""
    length = min(len(first), len(second)) - 1
    differing = np.flatnonzero(np.asarray(first)[:length] != np.asarray(second)[:length])
    return int(differing[0]) if len(differing) else max(0, length)


def gain(lengths: Sequence[int], shared: int, crossover: float, above: int = 0) -> float:
    """Work on sequences of these lengths each alone over work on them with the first `shared` tokens read once.

    Both after the first `above` tokens, which are read once anyhow. A sequence of T tokens is T + T^2 / crossover of
    work: `crossover` is the length at which attention costs as much as everything else (13.9k for 30B-A3B, 1.4k for 4
    layers of 256).
    """
    return float(_gains(np.array(lengths), shared, crossover, above)[-1])


def _gains(lengths: npt.NDArray[np.int64], shared: int, crossover: float, above: int) -> npt.NDArray[np.float64]:
    """`gain` for the first sequence alone, the first two, and so on to all of them."""

    def work(tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = tokens - above + (tokens**2 - above**2) / crossover
        return found

    alone = np.cumsum(work(lengths))
    saved: npt.NDArray[np.float64] = np.arange(len(lengths)) * work(np.array(shared))
    return alone / (alone - saved)


def _trees(
    sequences: Sequence[batch.Tokens], groups: Sequence[Hashable] | None, budget: int, crossover: float
) -> Iterator[Tree]:
    together: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(range(len(sequences)) if groups is None else groups):
        together[group].append(index)
    for members in together.values():
        alone, shared = _grown(members, sequences, crossover)
        yield from map(_alone, alone)
        for tree in shared:
            yield from _within(tree, sequences, TREE_ROWS * budget, crossover)


def _grown(members: Sequence[int], sequences: Sequence[batch.Tokens], crossover: float) -> tuple[list[int], list[Tree]]:
    """Sequences of one task that stay alone, and trees of the others: a beginning is shared where that pays.

    Sorted, sequences that begin alike are neighbours, and the least that neighbours have in common is what all have.
    """
    ids = {index: np.asarray(sequences[index], dtype=">u4") for index in members}
    order = sorted(members, key=lambda index: ids[index].tobytes())
    common = [alike(ids[a], ids[b]) for a, b in pairwise(order)]

    def grow(run: "_Run", above: int) -> tuple[list[int], list[Tree]]:
        """The same of a run after its first `above` tokens, which are read once."""
        own: list[int] = []
        branches: list[Tree] = []
        todo = [run]
        while todo:
            run = todo.pop()
            if len(run.order) == 1:
                own += run.order
                continue
            shared = min(run.common)
            few = _paying(run, shared, above, sequences, crossover) if shared > above else set()
            if len(few) == len(run.order):
                inner, deeper = grow(run, shared)
                branches.append(Tree(tuple(inner), shared, tuple(deeper)))
            elif few:
                todo += [run.only({*run.order} - few), run.only(few)]
            else:
                todo += run.parts(shared)
        return own, branches

    return grow(_Run(order, common), 0)


class _Run(NamedTuple):
    """Sequences of one task, sorted, and how many tokens each begins with alike with the next."""

    order: list[int]
    common: list[int]

    def only(self, kept: Collection[int]) -> "_Run":
        """The run without its other sequences."""
        order: list[int] = []
        common: list[int] = []
        least = 0
        for place, index in enumerate(self.order):
            if place:
                least = min(least, self.common[place - 1])
            if index in kept:
                common += [least] if order else []
                order.append(index)
                least = sys.maxsize
        return _Run(order, common)

    def parts(self, shared: int) -> "list[_Run]":
        """The runs that share more than that, last first."""
        cuts = [0, *(at + 1 for at, alike in enumerate(self.common) if alike == shared), len(self.order)]
        return [_Run(self.order[a:b], self.common[a : b - 1]) for a, b in pairwise(cuts)][::-1]


def _paying(run: _Run, shared: int, above: int, sequences: Sequence[batch.Tokens], crossover: float) -> set[int]:
    """Of a run that shares so much: the most for which it pays, at least half of them; the longest are left out first.

    A long one gains little by what is short beside it, and would cost the others their sharing.
    """
    order = sorted(run.order, key=lambda index: len(sequences[index]))
    gains = _gains(np.array([len(sequences[index]) for index in order]), shared, crossover, above)
    paying = np.flatnonzero(gains >= LEAST_GAIN) + 1
    least = max(2, (len(order) + 1) // 2)
    return {*order[: paying[-1]]} if len(paying) and paying[-1] >= least else set()


def _within(tree: Tree, sequences: Sequence[batch.Tokens], budget: int, crossover: float) -> Iterator[Tree]:
    """A tree as trees of at most `budget` tokens each; what then shares too little stays alone."""
    if tree.tokens(sequences) <= budget:
        yield tree
        return
    members = tree.members
    own = [len(sequences[index]) - tree.shared for index in members]
    for places in batch.in_order(own, range(len(members)), max(1, budget - tree.shared)):
        part = _only(tree, {members[place] for place in places})
        if gain([len(sequences[index]) for index in part.members], part.shared, crossover) >= LEAST_GAIN:
            yield part
        else:
            yield from map(_alone, part.own)
            for branch in part.branches:
                yield from _within(branch, sequences, budget, crossover)


def _alone(index: int) -> Tree:
    return Tree((index,))
