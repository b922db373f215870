"""Which sequences are read together: candidates of one task share the tokens they begin with, where that pays.

A tree is a shared beginning, read once, and what each member adds to it. A sequence that shares nothing is a tree of
its own. Rows are made of whole trees, longest first, under a token budget.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

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

    members: tuple[int, ...]
    """By their index in the caller's list."""
    shared: int = 0
    """How many tokens all of them begin with and are read once; each adds at least one of its own."""

    def tokens(self, sequences: Sequence[batch.Tokens]) -> int:
        """Tokens to read."""
        return self.shared + sum(len(sequences[index]) - self.shared for index in self.members)


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
        past = (size, size + tree.shared) if tree.shared else (0, 0)
        if tree.shared:
            parts.append(batch.Part(sequences[tree.members[0]][: tree.shared]))
        parts += [batch.Part(sequences[index][tree.shared :], past, index) for index in tree.members]
        size += tree.tokens(sequences)
    return batch.lay(parts)


def halves(trees: Sequence[Tree]) -> tuple[tuple[Tree, ...], tuple[Tree, ...]]:
    """A row of more than one sequence as two rows; one tree is cut through its members."""
    if len(trees) > 1:
        middle = len(trees) // 2
        return tuple(trees[:middle]), tuple(trees[middle:])
    (tree,) = trees
    middle = len(tree.members) // 2
    return (_tree(tree.members[:middle], tree.shared),), (_tree(tree.members[middle:], tree.shared),)


def common(sequences: Sequence[batch.Tokens]) -> int:
    """How many tokens all sequences begin with, one less than the shortest at most."""
    first = np.asarray(sequences[0])
    length = min(map(len, sequences)) - 1
    for other in sequences[1:]:
        differing = np.flatnonzero(first[:length] != np.asarray(other)[:length])
        length = int(differing[0]) if len(differing) else length
    return max(0, length)


def gain(lengths: Sequence[int], shared: int, crossover: float) -> float:
    """Work on sequences of these lengths each alone over work on them with the first `shared` tokens read once.

    A sequence of T tokens is T + T^2 / crossover of work: `crossover` is the length at which attention costs as much as
    everything else (13.9k for 30B-A3B, 1.4k for 4 layers of 256).
    """

    def work(tokens: float) -> float:
        return tokens + tokens**2 / crossover

    alone = sum(map(work, lengths))
    return alone / (alone - (len(lengths) - 1) * work(shared))


def _trees(
    sequences: Sequence[batch.Tokens], groups: Sequence[Hashable] | None, budget: int, crossover: float
) -> Iterator[Tree]:
    together: dict[Hashable, list[int]] = defaultdict(list)
    for index, group in enumerate(range(len(sequences)) if groups is None else groups):
        together[group].append(index)
    for members in together.values():
        members.sort(key=lambda index: -len(sequences[index]))
        shared = common([sequences[index] for index in members])
        own = [len(sequences[index]) - shared for index in members]
        for at in batch.in_order(own, range(len(members)), max(1, TREE_ROWS * budget - shared)):
            tree = Tree(tuple(members[place] for place in at), shared)
            lengths = [len(sequences[index]) for index in tree.members]
            if len(at) > 1 and gain(lengths, shared, crossover) >= LEAST_GAIN:
                yield tree
            else:
                yield from (Tree((index,)) for index in tree.members)


def _tree(members: tuple[int, ...], shared: int) -> Tree:
    return Tree(members, shared if len(members) > 1 else 0)
