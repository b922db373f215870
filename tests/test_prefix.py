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
        seen = [*range(*span.past), *range(span.start, span.end)]
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


@given(sequences=st.lists(TOKENS, min_size=1, max_size=6))
def test_the_common_beginning_is_the_longest_that_leaves_each_a_token(sequences: list[tuple[int, ...]]) -> None:
    length = prefix.common(sequences)
    assert len({sequence[:length] for sequence in sequences}) == 1
    assert length < min(map(len, sequences))
    if length + 1 < min(map(len, sequences)):
        assert len({sequence[: length + 1] for sequence in sequences}) > 1


@pytest.mark.parametrize(("shared", "saves"), [(0.1, False), (0.5, True), (0.7, True)])
def test_thirty_two_siblings_share_from_half_on(shared: float, saves: bool) -> None:
    common = round(760 * shared)
    siblings = [(*range(common), *range(10_000 * n, 10_000 * n + 760 - common)) for n in range(1, 33)]
    rows = list(prefix.rows(siblings, 4_096, groups=[0] * 32, crossover=1_400))
    assert any(tree.shared for trees in rows for tree in trees) is saves
    strangers = prefix.rows(siblings, 4_096, groups=range(32), crossover=1_400)
    assert not any(tree.shared for trees in strangers for tree in trees)


def test_gain_is_work_alone_over_work_together() -> None:
    def work(tokens: int) -> float:
        return tokens + tokens**2 / 1_000

    lengths: Sequence[int] = (700, 900)
    together = work(400) + sum(work(length) - work(400) for length in lengths)
    assert prefix.gain(lengths, 400, 1_000) == pytest.approx(sum(map(work, lengths)) / together)
    assert prefix.gain([8_192] * 32, 5_120, 13_900) == pytest.approx(2.09, abs=0.03)
    assert prefix.gain([16_384] * 32, 5_120, 13_900) == pytest.approx(1.24, abs=0.03)


def test_half_a_pair_shares_nothing() -> None:
    assert prefix.halves([Tree((3, 5), 2)]) == ((Tree((3,)),), (Tree((5,)),))
    assert prefix.halves([Tree((1, 2, 4, 7), 2)]) == ((Tree((1, 2), 2),), (Tree((4, 7), 2),))
