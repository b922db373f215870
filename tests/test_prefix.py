"""Sharing a beginning loses no sequence, keeps to its budget, and is done only where it saves work."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swe_rm import prefix
from swe_rm.prefix import Tree

TOKENS = st.lists(st.integers(0, 2), min_size=1, max_size=12).map(tuple)


def whole(row_of: prefix.batch.Row) -> dict[int, list[int]]:
    """The tokens that end at each member's end, with what they see before them; positions checked."""
    found = {}
    ends = dict(zip(row_of.ends, row_of.members, strict=True))
    for span in row_of.spans:
        seen = [at for part in (*span.past, (span.start, span.end)) for at in range(*part)]
        assert [row_of.position_ids[at] for at in seen] == list(range(len(seen)))
        if span.end in ends:
            found[ends[span.end]] = [int(row_of.token_ids[at]) for at in seen]
    return found


@given(
    sequences=st.lists(TOKENS, max_size=20),
    budget=st.integers(1, 60),
    crossover=st.sampled_from([1.0, 20.0, float("inf")]),
    data=st.data(),
)
def test_every_sequence_is_read_once_and_whole(
    sequences: list[tuple[int, ...]], budget: int, crossover: float, data: st.DataObject
) -> None:
    groups = data.draw(st.lists(st.integers(0, 2), min_size=len(sequences), max_size=len(sequences)))
    found: dict[int, list[int]] = {}
    for trees in prefix.rows(sequences, budget, groups=groups, crossover=crossover):
        size = sum(tree.tokens(sequences) for tree in trees)
        assert size <= prefix.TREE_ROWS * budget or sum(len(tree.members) for tree in trees) == 1
        made = prefix.row(trees, sequences)
        assert len(made.token_ids) == size
        members = [index for tree in trees for index in tree.members]
        assert list(made.members) == members
        assert not set(members) & found.keys()
        found |= whole(made)
        if len(members) > 1:
            cut = [index for half in prefix.halves(trees) for tree in half for index in tree.members]
            assert cut == members
    assert {index: tuple(tokens) for index, tokens in found.items()} == dict(enumerate(sequences))


@given(first=TOKENS, second=TOKENS)
def test_alike_is_the_longest_beginning_that_leaves_each_a_token(
    first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    most = min(len(first), len(second)) - 1
    assert prefix.alike(first, second) == max(n for n in range(most + 1) if first[:n] == second[:n])


def siblings(number: int, common: int, *, length: int = 760, seed: int = 1) -> list[tuple[int, ...]]:
    """Sequences that have their first `common` tokens in common with those of the same seed, and no more."""
    own = [
        range(100_000 * seed + 1_000 * n, 100_000 * seed + 1_000 * n + length - common) for n in range(1, number + 1)
    ]
    return [(*range(seed, common + seed), *rest) for rest in own]


def all_trees(sequences: Sequence[tuple[int, ...]], **options: float) -> list[Tree]:
    rows = prefix.rows(sequences, 100_000, groups=[0] * len(sequences), **{"crossover": 1_400, **options})
    return [tree for trees in rows for tree in trees]


def test_one_that_begins_otherwise_stands_alone_and_the_others_share() -> None:
    found = all_trees([*siblings(30, 600), *siblings(1, 600, seed=2)])
    assert sorted((len(tree.members), tree.shared) for tree in found) == [(1, 0), (30, 600)]


def test_a_long_one_goes_alone_and_the_others_share() -> None:
    """Its own length squared drowns what sharing saves, so it would cost the others theirs."""
    candidates = [*siblings(30, 800, length=1_000), (*siblings(1, 800, length=1_000)[0][:800], *range(14_200))]
    found = all_trees(candidates)
    assert sorted((len(tree.members), tree.shared) for tree in found) == [(1, 0), (30, 800)]
    assert sum(tree.tokens(candidates) for tree in found) == 800 + 30 * 200 + 15_000


def test_what_a_cut_tree_leaves_that_pays_is_still_shared() -> None:
    """Rows of 150 tokens: a tree of 600 at most. What the cut leaves shares too little at its root, not below."""
    beginning = tuple(range(900_000, 900_060))
    deep = [beginning + rest for rest in siblings(4, 60, length=80, seed=5)]
    wide = [beginning + rest for rest in siblings(14, 0, length=90, seed=6)]
    found: list[int] = []
    for trees in prefix.rows([*deep, *wide], 150, groups=[0] * 18, crossover=1e9):
        found += [tree.tokens([*deep, *wide]) for tree in trees]
        assert all(tree.tokens([*deep, *wide]) <= 600 for tree in trees)
    assert sum(found) < sum(map(len, [*deep, *wide]))


def test_two_beginnings_of_one_task_are_two_trees() -> None:
    found = all_trees([*siblings(10, 500), *siblings(12, 600, seed=2)])
    assert sorted((len(tree.members), tree.shared) for tree in found) == [(10, 500), (12, 600)]


def test_those_that_share_more_are_a_branch() -> None:
    beginning = tuple(range(500_000, 500_400))
    deep = [beginning + rest for rest in siblings(8, 300, length=360, seed=3)]
    flat = [beginning + rest for rest in siblings(6, 0, length=360, seed=4)]
    (tree,) = all_trees([*deep, *flat])
    (branch,) = tree.branches
    assert (tree.shared, sorted(tree.own)) == (400, list(range(8, 14)))
    assert (branch.shared, sorted(branch.own), branch.branches) == (700, list(range(8)), ())
    assert tree.tokens([*deep, *flat]) == 400 + 6 * 360 + 300 + 8 * 60


def test_a_task_of_many_that_part_one_by_one_is_read() -> None:
    """2,000 sequences, each of which has one token more in common with the next: deeper than Python calls go."""
    chain = [(*[7] * n, 8, 9) for n in range(2_000)]
    found = [tree for trees in prefix.rows(chain, 1 << 20, groups=[0] * 2_000) for tree in trees]
    assert sorted(index for tree in found for index in tree.members) == list(range(2_000))


@pytest.mark.parametrize(("shared", "saves"), [(0.1, False), (0.5, True), (0.7, True)])
def test_thirty_two_siblings_share_from_half_on(shared: float, saves: bool) -> None:
    candidates = siblings(32, round(760 * shared))
    rows = list(prefix.rows(candidates, 4_096, groups=[0] * 32, crossover=1_400))
    assert any(tree.shared for trees in rows for tree in trees) is saves
    strangers = prefix.rows(candidates, 4_096, groups=range(32), crossover=1_400)
    assert not any(tree.shared for trees in strangers for tree in trees)


def test_gain_is_work_alone_over_work_together() -> None:
    def work(tokens: int) -> float:
        return tokens + tokens**2 / 1_000

    lengths: Sequence[int] = (700, 900)
    together = work(400) + sum(work(length) - work(400) for length in lengths)
    assert prefix.gain(lengths, 400, 1_000) == pytest.approx(sum(map(work, lengths)) / together)
    assert prefix.gain([8_192] * 32, 5_120, 13_900) == pytest.approx(2.09, abs=0.03)
    assert prefix.gain([16_384] * 32, 5_120, 13_900) == pytest.approx(1.24, abs=0.03)
    after = sum(work(length) - work(100) for length in lengths)
    assert prefix.gain(lengths, 400, 1_000, above=100) == pytest.approx(after / (after - work(400) + work(100)))


def test_half_a_pair_shares_nothing() -> None:
    assert prefix.halves([Tree((3, 5), 2)]) == ((Tree((3,)),), (Tree((5,)),))
    assert prefix.halves([Tree((1, 2, 4, 7), 2)]) == ((Tree((1, 2), 2),), (Tree((4, 7), 2),))


def test_half_a_tree_keeps_the_branches_that_two_share() -> None:
    tree = Tree((1, 2), 2, (Tree((4, 7, 8), 5),))
    assert prefix.halves([tree]) == ((Tree((1, 2), 2),), (Tree((4, 7, 8), 5),))
    assert prefix.halves([Tree((1,), 2, (Tree((4, 7, 8), 5),))]) == ((Tree((1, 4), 2),), (Tree((7, 8), 5),))
